// base/log.hpp
//
// Log lines as a stable dotted name and fields with units. A Logger is handed to whoever logs;
// there is no global one. Peer bytes are escaped by the sink, payloads and tokens are never logged.

#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.hpp"
#include "jamsocket/service.hpp"

namespace jamsocket {

struct LogField {
  using Value = std::variant<std::int64_t, std::uint64_t, double, bool, std::string_view>;

  LogField(std::string_view name, std::string_view text) : key(name), value(text) {}
  LogField(std::string_view name, const std::string& text) : key(name), value(std::string_view(text)) {}
  LogField(std::string_view name, const char* text) : key(name), value(std::string_view(text)) {}
  LogField(std::string_view name, bool flag) : key(name), value(flag) {}
  template <std::signed_integral T>
  LogField(std::string_view name, T number) : key(name), value(static_cast<std::int64_t>(number)) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  LogField(std::string_view name, T number) : key(name), value(static_cast<std::uint64_t>(number)) {}
  template <std::floating_point T>
  LogField(std::string_view name, T number) : key(name), value(static_cast<double>(number)) {}

  std::string_view key;
  Value value;
};

/// The least important level that is written; Off: none is.
enum class LogThreshold : std::uint8_t { Debug, Info, Warn, Error, Off };

/// "debug", "info", "warn", "error", "off".
[[nodiscard]] std::string_view to_string(LogThreshold threshold);
/// @error InvalidArgument  `text` is none of the five.
[[nodiscard]] Result<LogThreshold> parse_log_threshold(std::string_view text);

/// Thread-safe; never blocks the caller on its sink for longer than a copy.
class Logger {
 public:
  virtual ~Logger() = default;
  [[nodiscard]] virtual bool enabled(LogLevel level) const = 0;
  virtual void write(LogLevel level, std::string_view name, std::span<const LogField> fields) = 0;
  /// Changes from which level on lines are written. Any thread.
  virtual void set_threshold(LogThreshold threshold) = 0;
  [[nodiscard]] virtual LogThreshold threshold() const = 0;
  /// Lines that were lost because the sink did not take them in time, or at all.
  [[nodiscard]] virtual std::uint64_t lines_dropped() const { return 0; }

  void debug(std::string_view name, std::initializer_list<LogField> fields) { log(LogLevel::Debug, name, fields); }
  void info(std::string_view name, std::initializer_list<LogField> fields) { log(LogLevel::Info, name, fields); }
  void warn(std::string_view name, std::initializer_list<LogField> fields) { log(LogLevel::Warn, name, fields); }
  void error(std::string_view name, std::initializer_list<LogField> fields) { log(LogLevel::Error, name, fields); }
  void log(LogLevel level, std::string_view name, std::initializer_list<LogField> fields) {
    if (enabled(level)) {
      write(level, name, std::span(fields.begin(), fields.size()));
    }
  }
};

/// Writes nothing.
class NullLogger final : public Logger {
 public:
  [[nodiscard]] bool enabled(LogLevel) const override { return false; }
  void write(LogLevel, std::string_view, std::span<const LogField>) override {}
  void set_threshold(LogThreshold) override {}
  [[nodiscard]] LogThreshold threshold() const override { return LogThreshold::Off; }
};

enum class LogFormat : std::uint8_t { Text, JsonLines };

struct LogOptions {
  std::string level = "info";  ///< debug, info, warn, error, off.
  LogFormat format = LogFormat::Text;
  bool colours = false;
};

/// A logger on standard error, with its own writer thread. What does not fit its queue because the other end does not
/// read, and what a full disk refuses, is dropped and counted, in `lines_dropped` and in a later line. Its destructor
/// waits for a blocked sink a second at most.
/// @error InvalidArgument  `level` is none of the five.
[[nodiscard]] Result<std::unique_ptr<Logger>> make_stderr_logger(const LogOptions& options);
/// The same on any descriptor, which stays open and the caller's.
[[nodiscard]] Result<std::unique_ptr<Logger>> make_logger(const LogOptions& options, int descriptor);

/// `text` with control characters, quotes, backslashes, invalid UTF-8, U+2028, bidirectional and
/// zero-width characters written as escapes, at most `bytes_max` of it (then "..."), so that a line
/// of log stays one line and shows what is there.
[[nodiscard]] std::string escape_for_log(std::string_view text, std::size_t bytes_max = 512);

}  // namespace jamsocket

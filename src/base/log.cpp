#include "base/log.hpp"

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <type_traits>

namespace jamsocket {
namespace {

constexpr std::size_t kQueueLines = 8192;

// Of a LogLevel, and of a LogThreshold.
constexpr std::array<std::string_view, 5> kLevelNames{"debug", "info", "warn", "error", "off"};
constexpr std::array<std::string_view, 4> kLevelColours{"\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m"};

std::string format_value(const LogField::Value& value, LogFormat format) {
  return std::visit(
      [format](const auto& v) -> std::string {
        using V = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<V, std::string_view>) {
          std::string text = escape_for_log(v, 4096);
          const bool plain = !text.empty() && text.find_first_of(" =\"\\") == std::string::npos;
          if (format == LogFormat::Text && plain) {
            return text;
          }
          return fmt::format("\"{}\"", text);
        } else if constexpr (std::is_same_v<V, bool>) {
          return v ? "true" : "false";
        } else {
          return fmt::format("{}", v);
        }
      },
      value);
}

// JSON knows no \x.. escape: bytes that are not UTF-8 become U+FFFD's escape plus the hex digits.
std::string json_safe(std::string text) {
  for (std::size_t at = 0; (at = text.find('\\', at)) != std::string::npos; at += 2) {
    const char kind = text[at + 1];
    if (kind == 'x') {
      text.replace(at, 2, "\\ufffd");
      at += 4;
    } else if (kind == 'U') {
      text.replace(at, 2, "\\\\U");
      at += 1;
    }
  }
  return text;
}

class SpdLogger final : public Logger {
 public:
  SpdLogger(const LogOptions& options, LogThreshold threshold)
      : options_(options),
        threshold_(threshold),
        pool_(std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1)),
        // A full queue drops its oldest line: a blocked terminal must never block a room.
        logger_(std::make_shared<spdlog::async_logger>("jamsocket", std::make_shared<spdlog::sinks::stderr_sink_mt>(),
                                                       pool_, spdlog::async_overflow_policy::overrun_oldest)) {
    logger_->set_level(spdlog::level::trace);
    logger_->set_pattern(
        options.format == LogFormat::Text ? "%H:%M:%S.%e %v" : "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",%v",
        options.format == LogFormat::Text ? spdlog::pattern_time_type::local : spdlog::pattern_time_type::utc);
    logger_->flush_on(spdlog::level::trace);
  }

  [[nodiscard]] bool enabled(LogLevel level) const override {
    return static_cast<std::uint32_t>(level) >= static_cast<std::uint32_t>(threshold());
  }
  void set_threshold(LogThreshold threshold) override { threshold_.store(threshold, std::memory_order_relaxed); }
  [[nodiscard]] LogThreshold threshold() const override { return threshold_.load(std::memory_order_relaxed); }

  void write(LogLevel level, std::string_view name, std::span<const LogField> fields) override {
    const auto index = static_cast<std::size_t>(level);
    std::string line;
    if (options_.format == LogFormat::Text) {
      line = options_.colours ? fmt::format("{}{:<5}\x1b[0m {}", kLevelColours[index], kLevelNames[index], name)
                              : fmt::format("{:<5} {}", kLevelNames[index], name);
      for (const LogField& field : fields) {
        line += fmt::format(" {}={}", field.key, format_value(field.value, LogFormat::Text));
      }
    } else {
      line = fmt::format("\"level\":\"{}\",\"event\":\"{}\"", kLevelNames[index], name);
      for (const LogField& field : fields) {
        line += fmt::format(",\"{}\":{}", field.key, json_safe(format_value(field.value, LogFormat::JsonLines)));
      }
      line += '}';
    }
    const std::size_t dropped = pool_->overrun_counter();
    if (dropped > dropped_reported_.exchange(dropped)) {
      logger_->log(spdlog::level::warn,
                   options_.format == LogFormat::Text
                       ? fmt::format("warn  log.lines_dropped total={}", dropped)
                       : fmt::format("\"level\":\"warn\",\"event\":\"log.lines_dropped\",\"total\":{}}}", dropped));
    }
    logger_->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  }

 private:
  LogOptions options_;
  std::atomic<LogThreshold> threshold_;
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::shared_ptr<spdlog::async_logger> logger_;
  std::atomic<std::size_t> dropped_reported_{0};
};

}  // namespace

std::string_view to_string(LogThreshold threshold) { return kLevelNames[static_cast<std::size_t>(threshold)]; }

Result<LogThreshold> parse_log_threshold(std::string_view text) {
  const auto* found = std::ranges::find(kLevelNames, text);
  if (found == kLevelNames.end()) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("log level '{}' is not one of debug, info, warn, error, off", escape_for_log(text, 40)));
  }
  return static_cast<LogThreshold>(found - kLevelNames.begin());
}

Result<std::unique_ptr<Logger>> make_stderr_logger(const LogOptions& options) {
  return std::make_unique<SpdLogger>(options, JAM_TRY(parse_log_threshold(options.level)));
}

}  // namespace jamsocket

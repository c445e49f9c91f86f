#include "base/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <type_traits>

namespace jamsocket {
namespace {

constexpr std::size_t kQueueLines = 8192;
constexpr std::chrono::seconds kEndPatience{1};
constexpr std::chrono::seconds kTellEvery{1};

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

// Writes to a descriptor that may be a pipe which nobody reads, or a file on a full disk. The descriptor is shared with
// others and stays as it is: what could block is asked first, and written in pieces that a pipe takes whole.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  /// @param pool  whose thread writes; it counts what its queue has lost.
  DescriptorSink(int descriptor, LogFormat format, spdlog::details::thread_pool& pool)
      : own_(reopen_terminal(descriptor)), descriptor_(own_ >= 0 ? own_ : descriptor), format_(format), pool_(pool) {}
  ~DescriptorSink() override {
    if (own_ >= 0) {
      ::close(own_);
    }
  }
  DescriptorSink(const DescriptorSink&) = delete;
  DescriptorSink& operator=(const DescriptorSink&) = delete;

  /// From here on it waits no longer than that.
  void end_within(std::chrono::nanoseconds time) {
    give_up_ns_.store((std::chrono::steady_clock::now().time_since_epoch() + time).count(), std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t lines_dropped() const {
    return pool_.overrun_counter() + dropped_.load(std::memory_order_relaxed);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    put(message);
    // Told here, not by who logs: a line more for each that is lost would only lose more.
    const std::uint64_t lost = lines_dropped();
    const auto now = std::chrono::steady_clock::now();
    if (lost != lost_told_ && !broken_ && (now - told_at_ >= kTellEvery || pool_.queue_size() == 0)) {
      lost_told_ = lost;
      told_at_ = now;
      const std::string text =
          format_ == LogFormat::Text
              ? fmt::format("warn  log.lines_dropped total={}", lost)
              : fmt::format("\"level\":\"warn\",\"event\":\"log.lines_dropped\",\"total\":{}}}", lost);
      put(spdlog::details::log_msg(message.logger_name, spdlog::level::warn, text));
    }
  }
  void flush_() override {}

 private:
  // A terminal may say that it can be written to and take only the half: opened anew, it need not block for the rest.
  static int reopen_terminal(int descriptor) {
    const std::string path = fmt::format("/proc/self/fd/{}", descriptor);
    return ::isatty(descriptor) == 1 ? ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
  }

  void put(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t formatted;
    formatter_->format(message, formatted);
    // Behind a line of which only a part could be written, the next one begins on a line of its own.
    const std::string_view line(formatted.data(), formatted.size());
    if ((broken_ && !write("\n")) || !write(line)) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  [[nodiscard]] bool write(std::string_view bytes) {
    const std::size_t whole = bytes.size();
    while (!bytes.empty()) {
      if (!wait_until_writable()) {
        break;
      }
      const ssize_t written = ::write(descriptor_, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
      if (written > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(written));
      } else if (errno != EINTR && errno != EAGAIN) {
        break;
      }
    }
    broken_ = bytes.empty() ? false : broken_ || bytes.size() < whole;
    return bytes.empty();
  }

  [[nodiscard]] bool wait_until_writable() const {
    constexpr int kLookMs = 50;  // Between two looks at whether to give up.
    for (;;) {
      const std::int64_t give_up = give_up_ns_.load(std::memory_order_relaxed);
      const bool is_over = give_up != 0 && std::chrono::steady_clock::now().time_since_epoch().count() >= give_up;
      pollfd entry{.fd = descriptor_, .events = POLLOUT, .revents = 0};
      if (::poll(&entry, 1, is_over ? 0 : kLookMs) > 0) {
        return true;  // Or an error, which the write then meets.
      }
      if (is_over) {
        return false;
      }
    }
  }

  int own_;  ///< -1: none.
  int descriptor_;
  LogFormat format_;
  spdlog::details::thread_pool& pool_;
  bool broken_ = false;
  std::uint64_t lost_told_ = 0;
  std::chrono::steady_clock::time_point told_at_{};
  std::atomic<std::int64_t> give_up_ns_{0};  ///< 0: never.
  std::atomic<std::uint64_t> dropped_{0};
};

class SpdLogger final : public Logger {
 public:
  SpdLogger(const LogOptions& options, LogThreshold threshold, int descriptor)
      : options_(options),
        threshold_(threshold),
        pool_(std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1)),
        sink_(std::make_shared<DescriptorSink>(descriptor, options.format, *pool_)),
        // A full queue drops its oldest line: a blocked terminal must never block a room.
        logger_(std::make_shared<spdlog::async_logger>("jamsocket", sink_, pool_,
                                                       spdlog::async_overflow_policy::overrun_oldest)) {
    logger_->set_level(spdlog::level::trace);
    logger_->set_pattern(
        options.format == LogFormat::Text ? "%H:%M:%S.%e %v" : "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",%v",
        options.format == LogFormat::Text ? spdlog::pattern_time_type::local : spdlog::pattern_time_type::utc);
    // What is thrown while a line is written (memory) must not be said on the very sink that failed.
    logger_->set_error_handler([](const std::string&) {});
  }
  ~SpdLogger() override { sink_->end_within(kEndPatience); }
  SpdLogger(const SpdLogger&) = delete;
  SpdLogger& operator=(const SpdLogger&) = delete;

  [[nodiscard]] bool enabled(LogLevel level) const override {
    return static_cast<std::uint32_t>(level) >= static_cast<std::uint32_t>(threshold());
  }
  void set_threshold(LogThreshold threshold) override { threshold_.store(threshold, std::memory_order_relaxed); }
  [[nodiscard]] LogThreshold threshold() const override { return threshold_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t lines_dropped() const override { return sink_->lines_dropped(); }

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
    logger_->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  }

 private:
  LogOptions options_;
  std::atomic<LogThreshold> threshold_;
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::shared_ptr<DescriptorSink> sink_;
  std::shared_ptr<spdlog::async_logger> logger_;
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
  return make_logger(options, STDERR_FILENO);
}

Result<std::unique_ptr<Logger>> make_logger(const LogOptions& options, int descriptor) {
  return std::make_unique<SpdLogger>(options, JAM_TRY(parse_log_threshold(options.level)), descriptor);
}

}  // namespace jamsocket

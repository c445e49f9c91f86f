#include "cli/child_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "base/clock.hpp"
#include "base/system.hpp"
#include "io/socket.hpp"

namespace jamsocket::cli {
namespace {

constexpr std::size_t kOutputBytesMax = std::size_t{64} << 10U;

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const bool replaced = std::ranges::any_of(added, [text](const auto& one) {
      return text.starts_with(one.first) && text.substr(one.first.size()).starts_with('=');
    });
    if (!replaced) {
      all.emplace_back(text);
    }
  }
  for (const auto& [name, value] : added) {
    all.push_back(fmt::format("{}={}", name, value));
  }
  return all;
}

// What posix_spawn is told; frees it.
class SpawnSetup {
 public:
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  void folder(const std::string& path) { posix_spawn_file_actions_addchdir_np(&actions_, path.c_str()); }
  void output_to(int fd) { posix_spawn_file_actions_adddup2(&actions_, fd, STDOUT_FILENO); }
  void no_errors() { posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, "/dev/null", O_WRONLY, 0); }

  void input_from(int fd) { posix_spawn_file_actions_adddup2(&actions_, fd, STDIN_FILENO); }
  void errors_to(int fd) { posix_spawn_file_actions_adddup2(&actions_, fd, STDERR_FILENO); }

  Result<pid_t> start(const ChildCommand& command) {
    return start(command.words, environment_with(command.environment));
  }
  Result<pid_t> start(std::vector<std::string> words, std::vector<std::string> environment) {
    const std::string program = words.front();
    pid_t pid = -1;
    const int error = posix_spawnp(&pid, program.c_str(), &actions_, &attributes_, pointers_to(words).data(),
                                   pointers_to(environment).data());
    if (error != 0) {
      return fail(error == ENOENT ? ErrorCode::NotFound : ErrorCode::Io,
                  fmt::format("{} could not be started: {}", program, words_of(error)));
    }
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

Result<void> wait_for(pid_t pid, const std::string& program) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) {
      return fail(ErrorCode::Io, io::errno_message("waitpid"));
    }
  }
  if (WIFSIGNALED(status)) {
    return fail(ErrorCode::Io, fmt::format("{} was ended by signal {}", program, WTERMSIG(status)));
  }
  if (WEXITSTATUS(status) != 0) {
    return fail(ErrorCode::Malformed, fmt::format("{} failed with exit code {}", program, WEXITSTATUS(status)));
  }
  return {};
}

std::string read_to_end(const io::Socket& source) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = ::read(source.fd(), buffer.data(), buffer.size());
    if (count == 0 || (count < 0 && errno != EINTR)) {
      return text;
    }
    if (count > 0) {  // Beyond the limit: read, so that the child can end, and dropped.
      const std::size_t room = kOutputBytesMax - text.size();
      text.append(buffer.data(), std::min(static_cast<std::size_t>(count), room));
    }
  }
}

struct Pipe {
  io::Socket reader;
  io::Socket writer;

  [[nodiscard]] static Result<Pipe> open() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      return fail(ErrorCode::Io, io::errno_message("pipe2"));
    }
    return Pipe{.reader = io::Socket(ends[0]), .writer = io::Socket(ends[1])};
  }
};

// Our ends of a child's three pipes, and what went through them.
class Conversation {
 public:
  Conversation(io::Socket input, io::Socket output, io::Socket errors)
      : input_(std::move(input)), output_(std::move(output)), errors_(std::move(errors)) {
    for (const io::Socket* socket : {&input_, &output_, &errors_}) {
      fcntl(socket->fd(), F_SETFL, O_NONBLOCK);
    }
  }

  // Until the child has closed both of its outputs, or a limit is reached.
  void run(std::string_view input, const ChildLimits& limits, ChildAnswer& answer) {
    const auto deadline = SystemClock{}.steady() + limits.time;
    while (output_.is_open() || errors_.is_open()) {
      const auto left = std::chrono::ceil<Milliseconds>(deadline - SystemClock{}.steady());
      if (left <= Milliseconds{0}) {
        answer.ended = ChildAnswer::Ended::TooLate;
        return;
      }
      std::array<pollfd, 3> polled{{{input_.fd(), POLLOUT, 0}, {output_.fd(), POLLIN, 0}, {errors_.fd(), POLLIN, 0}}};
      poll(polled.data(), polled.size(), static_cast<int>(std::min<std::int64_t>(left.count(), 1'000)));
      if (polled[0].revents != 0) {
        write_some(input);
      }
      if (polled[1].revents != 0) {
        read_some(output_, answer.output, limits.output_bytes_max + 1);
      }
      if (polled[2].revents != 0) {
        read_some(errors_, answer.errors, kErrorBytesMax);
      }
      if (answer.output.size() > limits.output_bytes_max) {
        answer.ended = ChildAnswer::Ended::TooMuchOutput;
        return;
      }
    }
  }

 private:
  static constexpr std::size_t kErrorBytesMax = 4096;

  void write_some(std::string_view& input) {
    const ssize_t count = ::write(input_.fd(), input.data(), input.size());
    if (count > 0) {
      input.remove_prefix(static_cast<std::size_t>(count));
    }
    if (input.empty() || (count < 0 && errno != EAGAIN && errno != EINTR)) {
      input_.close();  // A child that reads no more says why, or how it ends.
    }
  }

  static void read_some(io::Socket& source, std::string& text, std::size_t bytes_max) {
    std::array<char, std::size_t{64} << 10U> buffer;
    const ssize_t count = ::read(source.fd(), buffer.data(), buffer.size());
    if (count > 0) {
      text.append(buffer.data(), std::min(static_cast<std::size_t>(count), bytes_max - text.size()));
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
      source.close();
    }
  }

  io::Socket input_;
  io::Socket output_;
  io::Socket errors_;
};

}  // namespace

Result<ChildAnswer> ask_child(const std::vector<std::string>& words, std::string_view input,
                              const ChildLimits& limits) {
  Pipe to_child = JAM_TRY(Pipe::open());
  Pipe output = JAM_TRY(Pipe::open());
  Pipe errors = JAM_TRY(Pipe::open());
  SpawnSetup setup;
  setup.input_from(to_child.reader.fd());
  setup.output_to(output.writer.fd());
  setup.errors_to(errors.writer.fd());
  const pid_t pid = JAM_TRY(setup.start(words, {}));
  to_child.reader.close();
  output.writer.close();
  errors.writer.close();
  ChildAnswer answer;
  Conversation(std::move(to_child.writer), std::move(output.reader), std::move(errors.reader))
      .run(input, limits, answer);
  if (answer.ended != ChildAnswer::Ended::ByItself) {
    kill(pid, SIGKILL);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) {
      return fail(ErrorCode::Io, io::errno_message("waitpid"));
    }
  }
  answer.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  answer.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  return answer;
}

Result<void> run_child(const ChildCommand& command) {
  SpawnSetup setup;
  setup.output_to(STDERR_FILENO);
  if (!command.folder.empty()) {
    setup.folder(command.folder);
  }
  const pid_t pid = JAM_TRY(setup.start(command));
  return wait_for(pid, command.words.front());
}

Result<std::string> output_of_child(const ChildCommand& command) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail(ErrorCode::Io, io::errno_message("pipe2"));
  }
  const io::Socket reader(ends[0]);
  io::Socket writer(ends[1]);
  SpawnSetup setup;
  setup.output_to(writer.fd());
  setup.no_errors();
  if (!command.folder.empty()) {
    setup.folder(command.folder);
  }
  const pid_t pid = JAM_TRY(setup.start(command));
  writer.close();
  std::string text = read_to_end(reader);
  JAM_TRY_VOID(wait_for(pid, command.words.front()));
  while (text.ends_with('\n')) {
    text.pop_back();
  }
  return text;
}

std::string find_program(std::string_view program) {
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nothing here sets variables.
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    const std::string candidate = fmt::format("{}/{}", rest.substr(0, colon), program);
    if (colon > 0 && access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return {};
}

}  // namespace jamsocket::cli

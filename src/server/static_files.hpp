// server/static_files.hpp
//
// Files of one directory, for GET and HEAD: nothing outside it, nothing hidden, nothing but regular files.
//
// Paths are resolved by the kernel beneath the directory's descriptor, so neither ".." nor a symbolic link
// leads out, whatever changes on disk meanwhile. Reads block: meant for files that the page cache holds.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "http/request.hpp"
#include "http/response.hpp"

namespace jamsocket::server {

/// An open file, closed with its owner.
class OpenFile {
 public:
  OpenFile() = default;
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&& other) noexcept;
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile();

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// What a body is to be read from when it is too big to be held.
struct FileSlice {
  OpenFile file;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  ///< If the file has become shorter, the connection must be cut: the length was promised.
};

/// Send http::serialise_head(response, body_bytes, ...), then response.body, then `file` if there is one.
struct StaticResponse {
  http::Response response;       ///< Its body is empty for HEAD and when `file` is set.
  std::uint64_t body_bytes = 0;  ///< What Content-Length says, for HEAD too.
  std::optional<FileSlice> file;
};

/// An answer that has its body with it.
[[nodiscard]] inline StaticResponse whole_response(http::Response response) {
  const std::uint64_t body_bytes = response.body.size();
  return {.response = std::move(response), .body_bytes = body_bytes, .file = std::nullopt};
}

struct StaticFilesLimits {
  /// Bigger bodies come as a FileSlice. Low, because each reader, however slow, holds as much.
  std::uint64_t held_bytes_max = std::uint64_t{256} << 10U;
};

class StaticFiles {
 public:
  /// @error Io  the directory cannot be opened; the message has its name and why.
  [[nodiscard]] static Result<StaticFiles> open(const std::string& directory, const StaticFilesLimits& limits = {});

  /// Answers any request whose path, decoded by http::decode_file_path, is `path`.
  ///
  /// A directory is answered with its index.html, or redirected to the path with a slash. A file beside with
  /// ".br" or ".gz" at its end, no older, is sent in its place to clients that take it. Conditions and a byte
  /// range are honoured.
  /// @return 200, 206, 304, 308, 404, 405 (with Allow), 412, 416, or 503 for a file that changes too fast to be read.
  [[nodiscard]] StaticResponse get(const http::Request& request, std::string_view path) const;

 private:
  StaticFiles(OpenFile directory, const StaticFilesLimits& limits);

  OpenFile directory_;
  StaticFilesLimits limits_;
};

}  // namespace jamsocket::server

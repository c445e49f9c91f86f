#include "server/static_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/system.hpp"
#include "http/conditional.hpp"
#include "http/content_coding.hpp"
#include "http/content_type.hpp"

namespace jamsocket::server {
namespace {

using http::Request;
using http::Response;

constexpr int kOpenAttempts = 3;
constexpr int kReadAttempts = 3;

// Opens `path` beneath `directory` for reading. Without blocking: a FIFO would wait for its writer.
OpenFile open_beneath(int directory, const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  for (int attempt = 0; attempt < kOpenAttempts && fd < 0; ++attempt) {
    fd = ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how);
    if (fd < 0 && errno != EINTR && errno != EAGAIN) {  // EAGAIN: a rename raced with the look-up.
      break;
    }
  }
  return OpenFile(static_cast<int>(fd));
}

struct Found {
  OpenFile file;
  struct stat status{};
};

std::optional<Found> open_regular(int directory, const std::string& path) {
  Found found{.file = open_beneath(directory, path)};
  if (!found.file.is_open() || ::fstat(found.file.fd(), &found.status) != 0 || !S_ISREG(found.status.st_mode)) {
    return std::nullopt;
  }
  return found;
}

bool is_directory(int directory, const std::string& path) {
  const OpenFile file = open_beneath(directory, path);
  struct stat status{};
  return file.is_open() && ::fstat(file.fd(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool has_hidden_segment(std::string_view path) { return path.contains("/."); }

bool is_same_version(const struct stat& left, const struct stat& right) {
  return left.st_size == right.st_size && left.st_mtim.tv_sec == right.st_mtim.tv_sec &&
         left.st_mtim.tv_nsec == right.st_mtim.tv_nsec;
}

bool is_older(const struct stat& left, const struct stat& right) {
  return std::pair(left.st_mtim.tv_sec, left.st_mtim.tv_nsec) < std::pair(right.st_mtim.tv_sec, right.st_mtim.tv_nsec);
}

http::Validators validators_of(const struct stat& status) {
  return {.etag = fmt::format("\"{:x}-{:x}-{:x}-{:x}\"", status.st_ino, status.st_size, status.st_mtim.tv_sec,
                              status.st_mtim.tv_nsec),
          .modified_unix_s = status.st_mtim.tv_sec};
}

StaticResponse not_found() { return whole_response(http::text_response(404, "There is no such file.")); }

// All of the slice, or nullopt if the file ended before it or could not be read.
std::optional<std::string> read_slice(int fd, std::uint64_t offset, std::uint64_t bytes) {
  std::string content(static_cast<std::size_t>(bytes), '\0');
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t more = ::pread(fd, content.data() + done, content.size() - done, static_cast<off_t>(offset + done));
    if (more < 0 && errno == EINTR) {
      continue;
    }
    if (more <= 0) {
      return std::nullopt;
    }
    done += static_cast<std::size_t>(more);
  }
  return content;
}

struct Coding {
  std::string_view name;
  std::string_view ending;
};
constexpr std::array<Coding, 2> kCodings{{{"br", ".br"}, {"gzip", ".gz"}}};

// One way to answer: a file, and the coding it is in.
struct Chosen {
  Found found;
  std::string_view coding;  ///< Empty: plain.
  bool varies = false;      ///< Another client could get another form.
};

std::optional<Chosen> choose(int directory, const std::string& path, const Request& request) {
  auto plain = open_regular(directory, path);
  if (!plain) {
    return std::nullopt;
  }
  Chosen chosen{.found = std::move(*plain), .coding = {}, .varies = false};
  std::vector<std::string_view> available;
  std::vector<Found> forms;
  for (const Coding& coding : kCodings) {
    auto packed = open_regular(directory, path + std::string(coding.ending));
    if (packed && !is_older(packed->status, chosen.found.status)) {
      available.push_back(coding.name);
      forms.push_back(std::move(*packed));
    }
  }
  chosen.varies = !available.empty();
  chosen.coding = http::preferred_coding(request, available);
  if (!chosen.coding.empty()) {
    const auto index = std::ranges::find(available, chosen.coding) - available.begin();
    chosen.found = std::move(forms[static_cast<std::size_t>(index)]);
  }
  return chosen;
}

void add_headers(Response& response, const Chosen& chosen, const http::Validators& validators) {
  response.add("ETag", validators.etag);
  response.add("Last-Modified", http::http_date(validators.modified_unix_s));
  response.add("Cache-Control", "no-cache");  // Keep it, but ask: the ETag makes the asking cheap.
  if (chosen.varies) {
    response.add("Vary", "Accept-Encoding");
  }
}

// The answer as far as it needs no byte of the file; `range` is set to what of it is to be sent, if any.
Response head_of(const Request& request, std::string_view path, const Chosen& chosen, http::RangeRequest& range) {
  const http::Validators validators = validators_of(chosen.found.status);
  const auto size_bytes = static_cast<std::uint64_t>(chosen.found.status.st_size);
  Response response;
  range = {};
  switch (http::evaluate_preconditions(request, validators)) {
    case http::Precondition::Failed:
      return http::text_response(412, "The file is not in the state that the request demands.");
    case http::Precondition::NotModified:
      response.status = 304;
      add_headers(response, chosen, validators);
      return response;
    case http::Precondition::Go:
      break;
  }
  range = http::evaluate_range(request, validators, size_bytes);
  if (range.kind == http::RangeRequest::Kind::Unsatisfiable) {
    response = http::text_response(416, "The range lies outside the file.");
    response.add("Content-Range", fmt::format("bytes */{}", size_bytes));
    return response;
  }
  const bool is_part = range.kind == http::RangeRequest::Kind::Part;
  response.status = is_part ? 206 : 200;
  response.add("Content-Type", http::content_type_of(path));
  response.add("X-Content-Type-Options", "nosniff");
  response.add("Accept-Ranges", "bytes");
  if (!chosen.coding.empty()) {
    response.add("Content-Encoding", chosen.coding);
  }
  add_headers(response, chosen, validators);
  if (is_part) {
    response.add("Content-Range",
                 fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.bytes - 1, size_bytes));
  } else {
    range.bytes = size_bytes;
  }
  return response;
}

StaticResponse redirect_to_directory(const Request& request) {
  Response response = http::text_response(308, "This is a directory; its address ends with a slash.");
  response.add("Location", request.path + "/" + (request.query.empty() ? "" : "?" + request.query));
  return whole_response(std::move(response));
}

}  // namespace

OpenFile::OpenFile(OpenFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

OpenFile::~OpenFile() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

StaticFiles::StaticFiles(OpenFile directory, const StaticFilesLimits& limits)
    : directory_(std::move(directory)), limits_(limits) {}

Result<StaticFiles> StaticFiles::open(const std::string& directory, const StaticFilesLimits& limits) {
  OpenFile file(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!file.is_open()) {
    return fail(ErrorCode::Io,
                fmt::format("The directory of static files {} cannot be opened: {}", directory, words_of(errno)));
  }
  return StaticFiles(std::move(file), limits);
}

StaticResponse StaticFiles::get(const Request& request, std::string_view path) const {
  const bool is_head = request.method == http::Method::Head;
  if (!is_head && request.method != http::Method::Get) {
    Response response = http::text_response(405, "Files can be read only, with GET or HEAD.");
    response.add("Allow", "GET, HEAD");
    return whole_response(std::move(response));
  }
  if (!path.starts_with('/') || path.contains('\0') || has_hidden_segment(path)) {
    return not_found();
  }
  std::string relative(path.substr(1));
  if (relative.empty() || relative.ends_with('/')) {
    relative += "index.html";
  }
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    auto chosen = choose(directory_.fd(), relative, request);
    if (!chosen) {
      return is_directory(directory_.fd(), relative) ? redirect_to_directory(request) : not_found();
    }
    http::RangeRequest range;
    StaticResponse result = whole_response(head_of(request, relative, *chosen, range));
    if (range.bytes == 0) {
      return result;  // Nothing of the file is to be sent, or it is empty.
    }
    result.body_bytes = range.bytes;
    if (is_head) {
      return result;
    }
    if (range.bytes > limits_.held_bytes_max) {
      result.file = FileSlice{.file = std::move(chosen->found.file), .offset = range.offset, .bytes = range.bytes};
      return result;
    }
    auto content = read_slice(chosen->found.file.fd(), range.offset, range.bytes);
    struct stat after{};
    const bool is_stable =
        ::fstat(chosen->found.file.fd(), &after) == 0 && is_same_version(chosen->found.status, after);
    if (content && is_stable) {
      result.response.body = std::move(*content);
      return result;
    }
  }
  return whole_response(http::text_response(503, "The file is being changed; try again."));
}

}  // namespace jamsocket::server

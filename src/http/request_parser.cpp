#include "http/request_parser.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <charconv>
#include <limits>
#include <string>
#include <utility>

#include "base/check.hpp"
#include "http/body_scanner.hpp"
#include "http/head_scanner.hpp"
#include "http/lists.hpp"
#include "http/target.hpp"

namespace jamsocket::http {
namespace {

namespace beast = boost::beast;
using beast::http::field;
using beast::http::verb;
using Size = boost::optional<std::uint64_t>;
using Code = boost::system::error_code;

Method method_of(std::string_view text) {
  struct Known {
    std::string_view text;
    Method method;
  };
  constexpr Known kKnown[] = {
      {"GET", Method::Get},         {"HEAD", Method::Head},     {"POST", Method::Post},
      {"PUT", Method::Put},         {"DELETE", Method::Delete}, {"CONNECT", Method::Connect},
      {"OPTIONS", Method::Options}, {"TRACE", Method::Trace},   {"PATCH", Method::Patch},
  };
  const auto* found = std::ranges::find(kKnown, text, &Known::text);
  return found == std::end(kKnown) ? Method::Other : found->method;
}

// Fills a Request from what Beast finds in a head.
class HeadReader final : public beast::http::basic_parser<true> {
 public:
  Request request;

 private:
  template <class View>
  static std::string text(View view) {
    return std::string(view.data(), view.size());
  }

  void on_request_impl(verb, beast::string_view method, beast::string_view target, int version, Code&) override {
    request.method_text = text(method);
    request.method = method_of(request.method_text);
    request.target = text(target);
    request.version_minor = static_cast<std::uint8_t>(version - 10);
  }
  void on_response_impl(int, beast::string_view, int, Code&) override {}
  void on_field_impl(field, beast::string_view name, beast::string_view value, Code&) override {
    request.headers.push_back({text(name), text(value)});
  }
  void on_header_impl(Code&) override {}
  void on_body_init_impl(const Size&, Code&) override {}
  std::size_t on_body_impl(beast::string_view body, Code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, Code&) override { return body.size(); }
  void on_finish_impl(Code&) override {}
};

using Violation = std::optional<HeadViolation>;

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Violation check_host(const Request& request) {
  const std::size_t hosts = request.header_count("Host");
  if (hosts > 1 || (hosts == 0 && request.version_minor == 1)) {
    return HeadViolation{400, "A request needs exactly one Host header."};
  }
  if (hosts == 1 && !is_authority(*request.header("Host"))) {
    return HeadViolation{400, "The Host header must be a host name or address, and optionally a port."};
  }
  return std::nullopt;
}

// How long the body is must have one answer only, or a proxy and we could differ on where it ends.
Violation check_body_headers(Request& request, const RequestLimits& limits, BodyScanner& body) {
  const std::size_t bytes_max = limits.body_bytes_max_for ? limits.body_bytes_max_for(request) : limits.body_bytes_max;
  const std::size_t lengths = request.header_count("Content-Length");
  const std::size_t codings = request.header_count("Transfer-Encoding");
  if (lengths + codings > 1) {
    return HeadViolation{400, "A request may have one Content-Length or one Transfer-Encoding header, not both."};
  }
  if (codings == 1) {
    if (request.version_minor == 0) {
      return HeadViolation{400, "HTTP/1.0 has no Transfer-Encoding."};
    }
    if (!equal_ignoring_case(*request.header("Transfer-Encoding"), "chunked")) {
      return HeadViolation{501, "The only Transfer-Encoding known here is chunked."};
    }
    request.has_body = true;
    body = BodyScanner::of_chunks(bytes_max);
  }
  if (lengths == 1) {
    const std::string_view length = *request.header("Content-Length");
    if (!is_digits(length)) {
      return HeadViolation{400, "Content-Length must be one number."};
    }
    std::uint64_t bytes = std::numeric_limits<std::uint64_t>::max();
    std::from_chars(length.data(), length.data() + length.size(), bytes);
    if (bytes > bytes_max) {
      return HeadViolation{413, "The body is too long."};
    }
    request.has_body = bytes > 0;
    body = BodyScanner::of_length(bytes);
  }
  return std::nullopt;
}

Violation check_expectation(const Request& request, RequestLimits::Body body) {
  const auto expectation = request.header("Expect");
  if (!expectation || request.version_minor == 0) {
    return std::nullopt;
  }
  // Without a body there is nothing to wait for. With one that nobody here needs: none is asked for.
  const bool may_have_body = body == RequestLimits::Body::Keep;
  if (equal_ignoring_case(*expectation, "100-continue") && (!request.has_body || may_have_body)) {
    return std::nullopt;
  }
  return HeadViolation{417, "No expectation can be met here; send the request without Expect."};
}

// Beast looks at lengths and codings too, and gives up before they are in the request.
HeadViolation explain(const Code& error) {
  if (error == beast::http::error::bad_content_length || error == beast::http::error::multiple_content_length) {
    return {400, "Content-Length must be one number, and alone."};
  }
  if (error == beast::http::error::bad_transfer_encoding) {
    return {400, "A request may have one Transfer-Encoding header, and no Content-Length with it."};
  }
  return {400, "The request is not valid HTTP."};
}

Violation split_target(Request& request) {
  const auto split = parse_request_target(request.target);
  if (!split && request.method == Method::Options && request.target == "*") {
    return HeadViolation{501, "OPTIONS is not known here, of the whole server neither."};
  }
  if (!split && request.method == Method::Connect && is_authority(request.target)) {
    return HeadViolation{501, "This server is no proxy."};
  }
  if (!split) {
    return HeadViolation{400, "The request target must be a path that begins with a slash, or a whole http address."};
  }
  request.path = split->path;
  request.query = split->query;
  request.authority = split->authority.empty() ? request.header("Host").value_or("") : split->authority;
  return std::nullopt;
}

}  // namespace

class RequestParser::Impl {
 public:
  explicit Impl(const RequestLimits& limits) : limits_(limits), scanner_(limits) {}

  ParseStep feed(std::string_view input) {
    JAM_CHECK(!is_over_);
    has_begun_ = has_begun_ || !input.empty();
    std::size_t taken = 0;
    if (!scanner_.complete()) {
      taken = scanner_.scan(input);
      head_.append(input.substr(0, taken));
      if (const auto& violation = scanner_.violation()) {
        const std::string_view head = std::string_view(head_).substr(std::min(scanner_.leading_bytes(), head_.size()));
        request_.method = method_of(head.substr(0, head.find(' ')));
        return refuse(*violation);
      }
      if (!scanner_.complete()) {
        return {ParseStatus::NeedMore, taken, 0, {}};
      }
      if (const Violation violation = read_head()) {
        return refuse(*violation);
      }
    }
    taken += body_.scan(input.substr(taken), limits_.body == RequestLimits::Body::Keep ? &request_.body : nullptr);
    if (const auto& violation = body_.violation()) {
      return refuse(*violation);
    }
    is_over_ = body_.complete();
    return {is_over_ ? ParseStatus::Complete : ParseStatus::NeedMore, taken, 0, {}};
  }

  Request& request() { return request_; }
  [[nodiscard]] const RequestLimits& limits() const { return limits_; }
  [[nodiscard]] bool has_begun() const { return has_begun_; }
  [[nodiscard]] bool is_in_body() const { return scanner_.complete() && !is_over_; }
  [[nodiscard]] bool take_expectation() { return is_in_body() && std::exchange(expects_continue_, false); }

 private:
  // The whole head is in head_.
  Violation read_head() {
    const std::string_view head = std::string_view(head_).substr(scanner_.leading_bytes());
    HeadReader reader;
    reader.header_limit(static_cast<std::uint32_t>(head.size() + 1));
    reader.body_limit(boost::none);
    reader.eager(false);
    Code error;
    reader.put(boost::asio::const_buffer(head.data(), head.size()), error);
    head_.clear();
    if (error) {
      return explain(error);
    }
    request_ = std::move(reader.request);
    request_.keep_alive = !request_.header_lists("Connection", "close") &&
                          (request_.version_minor == 1 || request_.header_lists("Connection", "keep-alive"));
    if (const Violation violation = check_host(request_)) {
      return violation;
    }
    const Violation target = split_target(request_);
    if (const Violation violation = check_body_headers(request_, limits_, body_)) {
      return violation;
    }
    if (const Violation violation = check_expectation(request_, limits_.body)) {
      return violation;
    }
    expects_continue_ = request_.has_body && request_.version_minor == 1 && request_.header("Expect").has_value();
    return target;
  }

  ParseStep refuse(HeadViolation violation) {
    is_over_ = true;
    return {ParseStatus::Failure, 0, violation.http_status, violation.reason, violation.limit};
  }

  RequestLimits limits_;
  HeadScanner scanner_;
  BodyScanner body_;
  Request request_;
  std::string head_;  // Until it is whole.
  bool has_begun_ = false;
  bool expects_continue_ = false;
  bool is_over_ = false;
};

RequestParser::RequestParser(const RequestLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;
RequestParser::~RequestParser() = default;

ParseStep RequestParser::feed(std::string_view input) { return impl_->feed(input); }
Request& RequestParser::request() { return impl_->request(); }
const Request& RequestParser::request() const { return impl_->request(); }
bool RequestParser::has_begun() const { return impl_->has_begun(); }
bool RequestParser::is_in_body() const { return impl_->is_in_body(); }
bool RequestParser::take_expectation() { return impl_->take_expectation(); }
void RequestParser::reset() { impl_ = std::make_unique<Impl>(impl_->limits()); }

}  // namespace jamsocket::http

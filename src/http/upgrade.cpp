#include "http/upgrade.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "http/lists.hpp"

namespace jamsocket::http {
namespace {

// More than any client has; with it, looking for duplicates stays cheap.
constexpr std::size_t kProtocolsMax = 64;
constexpr std::size_t kKeyCharacters = 24;

Response bad_request(std::string_view sentence) { return text_response(400, sentence); }

Response upgrade_required(std::string_view sentence) {
  Response response = text_response(426, sentence);
  response.add("Upgrade", "websocket");
  response.add("Sec-WebSocket-Version", "13");
  return response;
}

bool is_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

// 16 bytes in base64: 22 letters and two equal signs.
bool is_key(std::string_view key) {
  return key.size() == kKeyCharacters && key.ends_with("==") &&
         std::ranges::all_of(key.substr(0, kKeyCharacters - 2), is_base64);
}

std::optional<Response> check_request_line(const Request& request) {
  if (request.method != Method::Get) {
    Response response = text_response(405, "A WebSocket is opened with GET.");
    response.add("Allow", "GET");
    return response;
  }
  if (request.version_minor == 0) {
    return upgrade_required("A WebSocket needs HTTP/1.1; this request came as HTTP/1.0.");
  }
  return std::nullopt;
}

std::optional<Response> check_headers(const Request& request) {
  if (!request.header_lists("Upgrade", "websocket")) {
    return upgrade_required("This path speaks WebSocket: the request needs \"Upgrade: websocket\".");
  }
  if (!request.header_lists("Connection", "upgrade")) {
    return upgrade_required("The request needs \"Connection: Upgrade\"; a proxy on the way may have taken it out.");
  }
  if (request.header_count("Sec-WebSocket-Version") != 1 || request.header("Sec-WebSocket-Version") != "13") {
    return upgrade_required(
        "The request needs exactly one \"Sec-WebSocket-Version: 13\", the only version spoken here.");
  }
  if (request.header_count("Sec-WebSocket-Key") != 1 || !is_key(*request.header("Sec-WebSocket-Key"))) {
    return bad_request("The request needs exactly one Sec-WebSocket-Key: 16 bytes in base64, 24 characters.");
  }
  if (request.header_count("Origin") > 1) {
    return bad_request("The request may have one Origin header at most.");
  }
  if (request.has_body) {
    return bad_request("A request that opens a WebSocket may not have a body.");
  }
  return std::nullopt;
}

std::expected<std::vector<std::string>, Response> offered_protocols(const Request& request) {
  std::vector<std::string> protocols;
  const std::string offered = request.header_joined("Sec-WebSocket-Protocol");
  std::string_view rest = offered;
  while (!rest.empty()) {
    const std::string_view protocol = take_element(rest);
    if (protocol.empty()) {
      continue;
    }
    if (!is_token(protocol)) {
      return std::unexpected(bad_request("A name in Sec-WebSocket-Protocol is not made of token characters."));
    }
    if (std::ranges::find(protocols, protocol) != protocols.end()) {
      return std::unexpected(bad_request("A name stands twice in Sec-WebSocket-Protocol."));
    }
    if (protocols.size() == kProtocolsMax) {
      return std::unexpected(bad_request("Sec-WebSocket-Protocol offers more than 64 names."));
    }
    protocols.emplace_back(protocol);
  }
  return protocols;
}

}  // namespace

bool wants_upgrade(const Request& request) {
  return request.method == Method::Get && request.header_lists("Upgrade", "websocket");
}

std::expected<Upgrade, Response> check_upgrade(const Request& request) {
  if (auto refusal = check_request_line(request)) {
    return std::unexpected(std::move(*refusal));
  }
  if (auto refusal = check_headers(request)) {
    return std::unexpected(std::move(*refusal));
  }
  auto protocols = offered_protocols(request);
  if (!protocols) {
    return std::unexpected(std::move(protocols).error());
  }
  return Upgrade{.key = std::string(*request.header("Sec-WebSocket-Key")),
                 .protocols = std::move(*protocols),
                 .extensions = request.header_joined("Sec-WebSocket-Extensions")};
}

std::string upgrade_response(const UpgradeAnswer& answer) {
  Response response{.status = 101, .headers = {}, .body = {}};
  response.add("Upgrade", "websocket");
  response.add("Connection", "Upgrade");
  response.add("Sec-WebSocket-Accept", answer.accept);
  if (!answer.protocol.empty()) {
    response.add("Sec-WebSocket-Protocol", answer.protocol);
  }
  if (!answer.extensions.empty()) {
    response.add("Sec-WebSocket-Extensions", answer.extensions);
  }
  return serialise_head(response, 0, {});
}

std::string with_subprotocol(std::string_view response, std::string_view protocol) {
  constexpr std::string_view kLineEnd = "\r\n";
  constexpr std::string_view kName = "\r\nSec-WebSocket-Protocol: ";
  JAM_CHECK(is_token(protocol) && response.ends_with("\r\n\r\n"));
  std::string changed(response.substr(0, response.size() - kLineEnd.size()));
  if (const std::size_t at = changed.find(kName); at != std::string::npos) {
    changed.erase(at, changed.find(kLineEnd, at + kName.size()) - at);
  }
  return changed.append(kName.substr(kLineEnd.size())).append(protocol).append("\r\n\r\n");
}

}  // namespace jamsocket::http

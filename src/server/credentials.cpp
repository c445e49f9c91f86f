#include "server/credentials.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "auth/base64url.hpp"

namespace jamsocket::server {
namespace {

constexpr std::string_view kBearerProtocol = "jam.bearer.";
constexpr std::string_view kResumeProtocol = "jam.resume.";
constexpr std::string_view kTicket = "ticket=";
constexpr std::string_view kResume = "resume=";

std::unexpected<http::Response> bad_request(std::string_view sentence) {
  return std::unexpected(http::text_response(400, sentence));
}

// Visits the pairs of a query, "a=b", as sent.
template <class Visit>
void for_each_pair(std::string_view query, Visit visit) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    visit(pair);
  }
}

// Subprotocols that begin with `prefix`, without it; taken out of the list.
std::vector<std::string> take_prefixed(std::vector<std::string>& protocols, std::string_view prefix) {
  std::vector<std::string> taken;
  std::erase_if(protocols, [&](const std::string& protocol) {
    if (!protocol.starts_with(prefix)) {
      return false;
    }
    taken.push_back(protocol.substr(prefix.size()));
    return true;
  });
  return taken;
}

// A token has dots; one that was encoded once more, to look like any other subprotocol, has none.
std::string token_of(std::string text) {
  if (text.contains('.')) {
    return text;
  }
  return auth::from_base64url(text).value_or(std::move(text));
}

// nullopt: it speaks of something else than a bearer of a token.
std::optional<std::string_view> bearer_of(std::string_view authorization) {
  constexpr std::string_view kScheme = "Bearer ";
  if (!http::equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) {
    return std::nullopt;
  }
  authorization.remove_prefix(kScheme.size());
  while (authorization.starts_with(' ')) {
    authorization.remove_prefix(1);
  }
  return authorization;
}

std::vector<Credential> tokens_in_headers(const http::Request& request) {
  std::vector<Credential> found;
  for (const http::Header& header : request.headers) {
    if (http::equal_ignoring_case(header.name, "Authorization")) {
      if (const auto bearer = bearer_of(header.value)) {
        found.push_back({.kind = Credential::Kind::Token, .text = std::string(*bearer)});
      }
    }
  }
  return found;
}

}  // namespace

std::expected<Credential, http::Response> take_credential(const http::Request& request, const TokenCarriers& carriers,
                                                          std::vector<std::string>* protocols) {
  std::vector<Credential> found;
  if (carriers.authorization) {
    found = tokens_in_headers(request);
  }
  if (carriers.subprotocol && protocols != nullptr) {
    for (std::string& text : take_prefixed(*protocols, kBearerProtocol)) {
      found.push_back({.kind = Credential::Kind::Token, .text = token_of(std::move(text))});
      const bool has_other =
          std::ranges::any_of(*protocols, [](const std::string& other) { return !other.starts_with(kResumeProtocol); });
      if (!has_other) {
        return bad_request(
            "A token among the subprotocols needs another subprotocol beside it, which the server can answer with.");
      }
    }
  }
  if (carriers.ticket && protocols != nullptr) {
    for_each_pair(request.query, [&](std::string_view pair) {
      if (pair.starts_with(kTicket)) {
        found.push_back({.kind = Credential::Kind::Ticket, .text = std::string(pair.substr(kTicket.size()))});
      }
    });
  }
  if (found.size() > 1) {
    return bad_request("A request may bring one token or one ticket, in one place.");
  }
  return found.empty() ? Credential{} : std::move(found.front());
}

std::string take_resume(const http::Request& request, std::vector<std::string>& protocols) {
  std::vector<std::string> offered = take_prefixed(protocols, kResumeProtocol);
  for_each_pair(request.query, [&](std::string_view pair) {
    if (pair.starts_with(kResume)) {
      offered.emplace_back(pair.substr(kResume.size()));
    }
  });
  return offered.empty() ? std::string() : std::move(offered.front());
}

std::string without_secrets(std::string_view query) {
  std::string kept;
  for_each_pair(query, [&](std::string_view pair) {
    if (!pair.starts_with(kTicket) && !pair.starts_with(kResume)) {
      kept += (kept.empty() ? "" : "&") + std::string(pair);
    }
  });
  return kept;
}

http::Response token_refused(std::string_view sentence) {
  http::Response response = http::text_response(401, sentence);
  response.add("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace jamsocket::server

// The shard's part in who may come in: tokens checked within a budget, tickets given and used up, first messages that
// bring a token.

#include <nlohmann/json.hpp>
#include <utility>

#include "auth/strict_json.hpp"
#include "base/check.hpp"
#include "server/shard.hpp"

namespace jamsocket::server {
namespace {

using namespace std::chrono_literals;
using Mode = TokenSettings::Mode;

// Rooms of two services may have the same id; no id has a control character.
std::string ticket_room(std::string_view service, std::string_view room_id) {
  return std::string(service) + '\n' + std::string(room_id);
}

void introduce(service::ConnectInfo& info, auth::Identity identity) {
  info.subject = std::move(identity.subject);
  info.claims = std::move(identity.claims);
}

struct FirstMessage {
  std::string token;
  std::string resume;
};

// {"token": "...", "resume": "..."}, the second only for one who comes back; nullopt: something else.
std::optional<FirstMessage> read_first_message(std::string_view message) {
  const auto parsed = auth::parse_strict_json(message);
  if (!parsed || !parsed->is_object()) {
    return std::nullopt;
  }
  FirstMessage first;
  for (const auto& [name, value] : parsed->items()) {
    const bool is_known = name == "token" || name == "resume";
    if (!is_known || !value.is_string()) {
      return std::nullopt;
    }
    (name == "token" ? first.token : first.resume) = value.get<std::string>();
  }
  return parsed->contains("token") ? std::optional(std::move(first)) : std::nullopt;
}

}  // namespace

std::expected<auth::Identity, http::Response> Shard::check_token(const HostedService& service, std::string_view room_id,
                                                                 const Credential& credential) {
  if (now_ - token_second_ >= 1s) {
    token_second_ = now_;
    token_used_ = 0ns;
  }
  if (token_used_ >= shared_.settings.token_cpu_per_second_max) {
    limit_hit(Counter::TokensOverCpu, std::string_view());
    return std::unexpected(http::text_response(503, kTokensBusy));
  }
  const std::chrono::nanoseconds before = thread_cpu_time();
  auto identity = service.verifier->verify(credential.text, room_id, unix_ms_);
  token_used_ += thread_cpu_time() - before;
  if (!identity) {
    return std::unexpected(token_refused(identity.error().message));
  }
  return *std::move(identity);
}

bool Shard::may_ask(HttpConnection& connection, const std::string& remote_address, std::string_view service_path,
                    std::string_view room_id, const Credential& credential) {
  const HostedServicePtr service = shared_.services.current().find(service_path);
  if (service == nullptr || service->settings.tokens.mode == Mode::Off) {
    return true;
  }
  if (credential.kind != Credential::Kind::Token) {
    if (service->settings.tokens.mode == Mode::Optional) {
      return true;
    }
    note_refusal(Counter::TokensRefused, remote_address);
    connection.respond(whole_response(token_refused(kTokenNeeded)));
    return false;
  }
  const auto identity = check_token(*service, room_id, credential);
  if (!identity) {
    note_refusal(Counter::TokensRefused, remote_address);
    connection.respond(whole_response(identity.error()));
  }
  return identity.has_value();
}

bool Shard::may_join(HttpConnection& connection, JoinRoom& join) {
  const HostedServicePtr service = shared_.services.current().find(join.service);
  if (service == nullptr || service->settings.tokens.mode == Mode::Off) [[likely]] {
    return true;
  }
  const TokenSettings& tokens = service->settings.tokens;
  switch (join.credential.kind) {
    case Credential::Kind::Ticket:
      join.admission.ticket = std::move(join.credential.text);
      return true;
    case Credential::Kind::None:
      if (tokens.mode == Mode::Optional) {
        return true;
      }
      if (tokens.carriers.message) {
        join.admission.awaits_token = true;
        return true;
      }
      note_refusal(Counter::TokensRefused, join.info->remote_address);
      connection.respond(whole_response(token_refused(kTokenNeeded)), HttpConnection::Then::Close);
      return false;
    case Credential::Kind::Token:
      break;
  }
  auto identity = check_token(*service, join.room_id, join.credential);
  if (!identity) {
    note_refusal(Counter::TokensRefused, join.info->remote_address);
    connection.respond(whole_response(identity.error()), HttpConnection::Then::Close);
    return false;
  }
  join.admission.expires_ms = identity->expires_ms;
  introduce(*join.info, *std::move(identity));
  return true;
}

void Shard::issue_ticket_for(HttpConnection& connection, const std::string& remote_address, IssueTicket wanted) {
  const HostedServicePtr service = shared_.services.current().find(wanted.service);
  if (service == nullptr || wanted.credential.kind != Credential::Kind::Token) {
    connection.respond(whole_response(token_refused(kTokenNeeded)));
    return;
  }
  auto identity = check_token(*service, wanted.room_id, wanted.credential);
  if (!identity) {
    note_refusal(Counter::TokensRefused, remote_address);
    connection.respond(whole_response(identity.error()));
    return;
  }
  Shard& owner = owner_of({.service = wanted.service, .id = wanted.room_id});
  owner.post([service = std::move(wanted.service), room_id = std::move(wanted.room_id),
              limits = service->settings.tokens.tickets, identity = *std::move(identity), connection = connection.id(),
              &asker = *this](Shard& shard) mutable {
    http::Response response = shard.issue_ticket({.service = service, .id = room_id}, std::move(identity), limits);
    asker.post([connection, response = std::move(response)](Shard& self) { self.answer(connection, response); });
  });
}

http::Response Shard::issue_ticket(const RoomName& name, auth::Identity identity, const auth::TicketLimits& limits) {
  const auto ticket = tickets_.issue(ticket_room(name.service, name.id), std::move(identity), limits, now_);
  if (!ticket) {
    limit_hit(Counter::TicketsRefused, std::string_view());
    return http::text_response(503, "There are as many unused tickets as there may be; try later.");
  }
  counters_.add(Counter::TicketsIssued);
  http::Response response = http::text_response(200, *ticket);
  response.add("Cache-Control", "no-store");
  return response;
}

std::size_t Shard::revoke_tickets(std::string_view service, std::string_view subject) {
  return tickets_.revoke(subject, ticket_room(service, {}));
}

bool Shard::use_ticket(const RoomName& name, Admission& admission, service::ConnectInfo& info) {
  auto identity = tickets_.redeem(*admission.ticket, ticket_room(name.service, name.id), now_);
  if (!identity || (identity->expires_ms != 0 && identity->expires_ms <= unix_ms_)) {
    return false;
  }
  admission.expires_ms = identity->expires_ms;
  introduce(info, *std::move(identity));
  return true;
}

void Shard::await_token(const RoomName& name, session::ClientSession& session,
                        std::unique_ptr<service::ConnectInfo> info, const TokenSettings& tokens) {
  await_tokens_.emplace(
      &session,
      AwaitsToken{.service = std::string(name.service), .room_id = std::string(name.id), .info = std::move(info)});
  session.await_token({.bytes_max = tokens.message_bytes_max, .timeout = tokens.message_timeout});
}

void Shard::token_came(session::ClientSession& session, std::string_view message) {
  auto waiting = await_tokens_.extract(&session);
  JAM_CHECK(!waiting.empty());
  AwaitsToken& asked = waiting.mapped();
  const HostedServicePtr service = shared_.services.current().find(asked.service);
  if (service == nullptr || service->verifier == nullptr) {
    session.reject(404, kServiceUnknown);
    return;
  }
  auto first = read_first_message(message);
  if (!first) {
    note_refusal(Counter::TokensRefused, asked.info->remote_address);
    session.reject(401, R"(The first message must be {"token": "..."}.)");
    return;
  }
  auto identity =
      check_token(*service, asked.room_id, {.kind = Credential::Kind::Token, .text = std::move(first->token)});
  if (!identity) {
    note_refusal(Counter::TokensRefused, asked.info->remote_address);
    session.reject(identity.error().status, identity.error().body);
    return;
  }
  const Admission admission{
      .ticket = {}, .awaits_token = false, .expires_ms = identity->expires_ms, .resume = std::move(first->resume)};
  introduce(*asked.info, *std::move(identity));
  let_in({.service = asked.service, .id = asked.room_id}, service, session, std::move(asked.info), admission);
}

}  // namespace jamsocket::server

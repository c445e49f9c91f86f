#include "auth/tickets.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/number.hpp"

namespace jamsocket::auth {
namespace {
constexpr std::size_t kSecretBytes = 16;
}  // namespace

std::optional<std::string> Tickets::issue(std::string room, Identity identity, const TicketLimits& limits,
                                          SteadyTime now) {
  drop_old(now);
  if (tickets_.size() >= limits.tickets_max) {
    return std::nullopt;
  }
  Ticket& ticket = tickets_[++last_number_];
  ticket = {.secret = random_secret(kSecretBytes),
            .room = std::move(room),
            .identity = std::move(identity),
            .expires = now + limits.lifetime};
  return fmt::format("{}-{}", last_number_, ticket.secret);
}

std::optional<Identity> Tickets::redeem(std::string_view ticket, std::string_view room, SteadyTime now) {
  const std::size_t dash = ticket.find('-');
  const auto number = parse_number<std::uint64_t>(ticket.substr(0, dash));
  if (!number || dash == std::string_view::npos) {
    return std::nullopt;
  }
  // Found by a number that is no secret; the secret is compared in constant time.
  const auto found = tickets_.find(*number);
  const std::string_view secret = ticket.substr(dash + 1);
  if (found == tickets_.end() || !equal_secrets(found->second.secret, secret) || found->second.room != room ||
      found->second.expires <= now) {
    return std::nullopt;
  }
  Identity identity = std::move(found->second.identity);
  tickets_.erase(found);
  return identity;
}

std::size_t Tickets::revoke(std::string_view subject, std::string_view rooms) {
  return std::erase_if(tickets_, [&](const auto& entry) {
    const Ticket& ticket = entry.second;
    return ticket.identity.subject == subject && ticket.room.starts_with(rooms);
  });
}

void Tickets::drop_old(SteadyTime now) {
  while (!tickets_.empty() && tickets_.begin()->second.expires <= now) {
    tickets_.erase(tickets_.begin());
  }
}

}  // namespace jamsocket::auth

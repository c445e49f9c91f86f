// auth/tickets.hpp
//
// Single-use tickets: who may join one room, once and soon, by a text that can stand in an address.
//
// A bounded store of one shard: tickets for a room are with the shard that the room lives on, which is also
// where the client comes to. Thread: the shard's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "auth/token.hpp"
#include "base/clock.hpp"

namespace jamsocket::auth {

struct TicketLimits {
  std::size_t tickets_max = 10'000;  ///< Not yet used, of one store. Beyond: none is given.
  Milliseconds lifetime{30'000};
};

class Tickets {
 public:
  /// A ticket for `room`, any text that names one, as it would be asked for later.
  /// @return "NUMBER-SECRET" with 128 random bits; nullopt: there are as many as may be.
  [[nodiscard]] std::optional<std::string> issue(std::string room, Identity identity, const TicketLimits& limits,
                                                 SteadyTime now);
  /// Uses a ticket up.
  /// @return whose it was; nullopt: there is no such ticket, it is for another room (and then still good for
  ///         its own), it was used or is too old.
  [[nodiscard]] std::optional<Identity> redeem(std::string_view ticket, std::string_view room, SteadyTime now);
  /// Takes back what a subject has not used yet, for rooms whose text begins with `rooms`. @return how many.
  std::size_t revoke(std::string_view subject, std::string_view rooms);
  [[nodiscard]] std::size_t size() const { return tickets_.size(); }

 private:
  struct Ticket {
    std::string secret;
    std::string room;
    Identity identity;
    SteadyTime expires;
  };
  void drop_old(SteadyTime now);

  std::map<std::uint64_t, Ticket> tickets_;  ///< By number; all live equally long, so the oldest is in front.
  std::uint64_t last_number_ = 0;
};

}  // namespace jamsocket::auth

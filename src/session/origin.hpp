// session/origin.hpp
//
// Whose a connection is, where that is more than whom its socket is connected to: who is behind a proxy, and which
// place among the counted it has.

#pragma once

#include "base/address.hpp"
#include "base/keyed_limit.hpp"

namespace jamsocket::session {

/// Goes with a connection from owner to owner and ends with it.
struct Origin {
  IpAddress address;                   ///< The client's; nobody's: not known, as on a unix-domain socket.
  KeyedLimit::Place place;             ///< Among the connections of the address, if those are counted.
  KeyedLimit::Place subjects_place{};  ///< Among those of the token's subject, likewise.
};

}  // namespace jamsocket::session

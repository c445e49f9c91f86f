// load/holding.hpp
//
// The modes that ask what connections and rooms hold rather than how fast messages pass.

#pragma once

#include "load/options.hpp"

namespace jamsocket::bench {

/// Opens the connections, leaves them alone for `options.seconds`, and prints the server's memory for each.
void run_idle(const LoadOptions& options);

/// Opens one room for each connection, sends one message in each and waits for its echo, reads what the
/// server holds, closes everything and waits until the server has given it back; `options.cycles` times.
void run_rooms(const LoadOptions& options);

/// Connects, waits for the upgrade's answer, leaves by a reset; `options.conns` times in all with
/// `options.burst` of them under way. Prints the server's CPU time for each.
void run_churn(const LoadOptions& options);

}  // namespace jamsocket::bench

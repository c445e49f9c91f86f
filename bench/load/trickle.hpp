// load/trickle.hpp
//
// The mode that asks whether those who mean it get in while others hold the door: TLS handshakes that trickle.

#pragma once

#include "load/options.hpp"

namespace jamsocket::bench {

/// Opens `options.conns` connections that each say a byte of a TLS hello a second and never the last one. Meanwhile
/// `options.rate` honest clients a second connect, shake hands, upgrade and leave, each timed from the moment it was
/// due. Then it waits until the server has closed all that trickle, for a minute at most. Prints how many of them were
/// there when the measurement ended, how many the server closed in the end, and after how long.
void run_trickle(const LoadOptions& options);

}  // namespace jamsocket::bench

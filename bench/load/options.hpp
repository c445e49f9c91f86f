// load/options.hpp
//
// What the load client is asked to do: its command line.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace jamsocket::bench {

/// Prints one sentence on standard error and ends the process with code 2: a run that cannot be
/// trusted is not reported.
[[noreturn]] void die(std::string_view what);
/// The same, with errno's words.
[[noreturn]] void die_errno(std::string_view what);

enum class Mode : std::uint8_t { Echo, Fanout, Idle, Rooms, Churn, Trickle };

struct LoadOptions {
  Mode mode = Mode::Echo;
  std::string mode_name;
  std::string host = "127.0.0.1";
  std::uint16_t port = 9001;
  std::string path = "/";   ///< "{room}" becomes the room's number.
  unsigned conns = 100;     ///< Fanout: subscribers a room; else: connections in all.
  unsigned rooms = 1;       ///< Over which connections are spread. Rooms mode: ignored, each has its own.
  unsigned publishers = 1;  ///< A room.
  unsigned payload = 64;    ///< Bytes, at least 16.
  unsigned depth = 1;       ///< Echo: messages in flight a connection.
  unsigned window = 1;      ///< Fanout: publishes in flight a room.
  /// Messages a second and room (fanout) or connection (echo); 0: closed loop. Trickle: honest clients a second.
  double rate = 0;
  double seconds = 5;
  double warmup = 1;     ///< Seconds.
  unsigned burst = 256;  ///< Connections that wait for their upgrade at the same time.
  unsigned cycles = 2;   ///< Rooms mode: how often all rooms are opened and closed.
  bool text = false;
  std::string header;  ///< A further line of the upgrade request, as in "Authorization: Bearer TOKEN".
  bool proxy = false;  ///< A header of the PROXY protocol (version 1) in front of each connection.
  bool tls = false;    ///< Of any certificate.
  bool spin = false;   ///< Polls without sleeping: no wake-ups in the server's sends.
  pid_t server_pid = 0;
  std::string label;
};

/// Dies with a sentence where the command line is not understood.
[[nodiscard]] LoadOptions parse_load_options(int argc, char** argv);

}  // namespace jamsocket::bench

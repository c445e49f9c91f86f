// tests/scenario/test_client.hpp
//
// A WebSocket client for tests, written for itself: it shares no code with the server, so a mistake
// in the server's codec cannot hide behind the same mistake here.
//
// Blocking, one thread; every wait has a deadline in real time, and running into it is an error.

#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace jamsocket::scenario {

struct Received {
  enum class Kind : std::uint8_t { Text, Binary, Closed, Lost };
  Kind kind = Kind::Lost;        ///< Lost: the connection ended without a close frame.
  std::string payload;           ///< Text, Binary; Closed: the reason.
  std::uint16_t close_code = 0;  ///< Closed; 1005 when the frame had none.
};

class TestClient {
 public:
  struct Answer;  ///< What the upgrade request led to.

  /// @param target  "/ws/room?query", already percent-encoded.
  /// @error Io, Malformed  no answer in time, or one that is not HTTP or not RFC 6455.
  [[nodiscard]] static Result<Answer> connect(std::uint16_t port, std::string_view target, const Clock& clock);

  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;
  ~TestClient();

  [[nodiscard]] Result<void> send_text(std::string_view text) { return send_frame(0x81, text); }
  [[nodiscard]] Result<void> send_binary(std::string_view bytes) { return send_frame(0x82, bytes); }
  /// The next message or end. @error Io  nothing came in time.
  [[nodiscard]] Result<Received> next();
  /// What `barrier` or `next` has read ahead of its caller.
  [[nodiscard]] const std::deque<Received>& inbox() const { return inbox_; }

  /// Sends a ping; `barrier_end` reads until its pong, keeping messages for `next`. Once both have run,
  /// everything the server had queued for this client before it saw the ping is here.
  void barrier_begin();
  [[nodiscard]] Result<void> barrier_end();

  /// The close handshake with 1000, up to the end of the connection. What arrives meanwhile is dropped.
  [[nodiscard]] Result<void> close();
  /// Ends the connection with a TCP reset.
  void reset();

 private:
  TestClient(int fd, const Clock& clock) : fd_(fd), clock_(clock) {}

  [[nodiscard]] Result<void> send_frame(std::uint8_t first_byte, std::string_view payload);
  [[nodiscard]] Result<void> send_all(std::string_view bytes);
  /// More bytes into `bytes_`; false at the end of the connection.
  [[nodiscard]] Result<bool> fill(SteadyTime deadline);
  /// Handles one frame if `bytes_` holds a whole one.
  [[nodiscard]] Result<bool> take_frame();
  [[nodiscard]] Result<void> on_frame(std::uint8_t first_byte, const std::string& payload);
  /// Reads until `done()` or the end of the connection.
  template <class Done>
  [[nodiscard]] Result<void> read_until(Done done);

  int fd_;
  const Clock& clock_;
  std::string bytes_;
  std::string message_;  ///< Fragments so far.
  std::uint8_t message_opcode_ = 0;
  std::deque<Received> inbox_;
  bool ended_ = false;  ///< Nothing more will come.
  bool close_sent_ = false;
  std::uint64_t pings_sent_ = 0;
  std::uint64_t pongs_seen_ = 0;
};

struct TestClient::Answer {
  int status = 0;
  std::string body;
  std::unique_ptr<TestClient> client;  ///< Set if the status is 101.
};

}  // namespace jamsocket::scenario

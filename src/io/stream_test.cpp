#include "io/stream.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <vector>

#include "io/tls_for_test.hpp"
#include "io/tls_session.hpp"

namespace jamsocket::io {
namespace {

using Handshake = Stream::Handshake;

// A stream over TLS, and a client at the other end of its socket.
struct Wire {
  Wire() {
    std::array<int, 2> fds{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
    stream = Stream(Socket(fds[0]), test_context(), TlsLimits{});
    far = Socket(fds[1]);
  }
  std::string receive() {
    std::string all;
    std::array<char, 65'536> piece;
    for (;;) {
      const IoResult got = far.read(piece);
      if (got.status != IoStatus::Done) {
        far_status = got.status;
        return all;
      }
      all.append(piece.data(), got.bytes);
    }
  }
  void send(std::string_view bytes) { EXPECT_EQ(far.write(bytes).bytes, bytes.size()); }
  Stream::HandshakeStep shake_hands(std::string_view first_words = {}) {
    Stream::HandshakeStep step{.state = Handshake::WantsToRead};
    for (int i = 0; i < 10 && step.state != Handshake::Done && step.state != Handshake::Failed; ++i) {
      client.handshake();
      std::string wire = client.take_wire();
      if (client.is_established() && !first_words.empty()) {
        wire += client.encrypt(first_words);
      }
      send(wire);
      step = stream.handshake(buffer);
      client.receive(receive());
    }
    return step;
  }
  std::string read() {
    const IoResult got = stream.read(buffer);
    status = got.status;
    return {buffer.data(), got.bytes};
  }

  Stream stream;
  Socket far;
  TestTlsClient client;
  std::vector<char> buffer = std::vector<char>(128 << 10U);
  IoStatus status = IoStatus::Done;
  IoStatus far_status = IoStatus::Done;
};

TEST(Stream, HandsOverWhatCameWithTheHandshake) {
  Wire wire;
  const Stream::HandshakeStep step = wire.shake_hands("GET /");
  ASSERT_EQ(step.state, Handshake::Done);
  EXPECT_EQ(std::string_view(wire.buffer.data(), step.bytes), "GET /");
  EXPECT_EQ(wire.read(), "");
  EXPECT_EQ(wire.status, IoStatus::WouldBlock);
}

TEST(Stream, MovesWithARecordThatIsHalfReceived) {
  Wire wire;
  ASSERT_EQ(wire.shake_hands().state, Handshake::Done);
  const std::string record = wire.client.encrypt("one message");
  wire.send(record.substr(0, 10));
  EXPECT_EQ(wire.read(), "");
  Stream moved = std::move(wire.stream);
  wire.stream = std::move(moved);
  wire.send(record.substr(10));
  EXPECT_EQ(wire.read(), "one message");
}

// Goal: all parts leave in one record, and one call. Method: small parts; the length of what arrives.
TEST(Stream, GathersSmallPartsInOneRecord) {
  Wire wire;
  ASSERT_EQ(wire.shake_hands().state, Handshake::Done);
  const std::array<std::string_view, 4> parts = {"a", "", "bc", "def"};
  const IoResult written = wire.stream.write(parts);
  EXPECT_EQ(written.status, IoStatus::Done);
  EXPECT_EQ(written.bytes, 6U);
  const std::string received = wire.receive();
  EXPECT_EQ(received.size(), 5U + 6U + 1U + 16U);  // Header, content, its type, tag.
  EXPECT_EQ(wire.client.decrypt(received), "abcdef");
}

// Goal: what the socket did not take arrives later, once and in order, though its owner offers the same bytes again
// and more behind them. Method: a socket that is full, a peer that reads late, parts cut in different ways.
TEST(Stream, GoesOnWhereTheSocketWasFull) {
  Wire wire;
  ASSERT_EQ(wire.shake_hands().state, Handshake::Done);
  std::string expected;
  for (int i = 0; i < 1'000'000; ++i) {
    expected += static_cast<char>('a' + i * 7 % 26);
  }
  std::size_t offered = 500'000;
  std::size_t written = 0;
  std::string got;
  bool was_blocked = false;
  for (int turn = 0; turn < 10'000 && written < expected.size(); ++turn) {
    const std::string_view rest = std::string_view(expected).substr(written, offered - written);
    const std::size_t cut = std::min(rest.size(), static_cast<std::size_t>(turn) * 1000 % 30'000);
    const std::array<std::string_view, 2> parts = {rest.substr(0, cut), rest.substr(cut)};
    const IoResult result = wire.stream.write(parts);
    ASSERT_NE(result.status, IoStatus::Failed);
    was_blocked = was_blocked || result.status == IoStatus::WouldBlock;
    written += result.bytes;
    offered = std::min(expected.size(), offered + 1000);
    if (turn % 3 == 0) {
      got += wire.client.decrypt(wire.receive());
    }
  }
  got += wire.client.decrypt(wire.receive());
  EXPECT_TRUE(was_blocked);
  EXPECT_EQ(written, expected.size());
  EXPECT_TRUE(got == expected);
}

TEST(Stream, TellsOfAnEndThatWasSaid) {
  Wire wire;
  ASSERT_EQ(wire.shake_hands().state, Handshake::Done);
  wire.send(wire.client.encrypt("bye"));
  EXPECT_EQ(SSL_shutdown(wire.client.ssl()), 0);
  wire.send(wire.client.take_wire());
  EXPECT_EQ(wire.read(), "bye");
  EXPECT_EQ(wire.status, IoStatus::Done);
  EXPECT_TRUE(wire.stream.has_ended());
}

TEST(Stream, TellsOfAnEndThatWasNotSaid) {
  Wire wire;
  ASSERT_EQ(wire.shake_hands().state, Handshake::Done);
  wire.far.close();
  EXPECT_EQ(wire.read(), "");
  EXPECT_EQ(wire.status, IoStatus::Closed);
}

TEST(Stream, SaysItsOwnEnd) {
  for (const bool at_once : {true, false}) {
    Wire wire;
    ASSERT_EQ(wire.shake_hands().state, Handshake::Done);
    if (at_once) {
      wire.stream.close();
    } else {
      wire.stream.shut_down_writing();
    }
    EXPECT_EQ(wire.client.decrypt(wire.receive()), "");
    EXPECT_EQ(wire.client.last_error(), SSL_ERROR_ZERO_RETURN);
    EXPECT_EQ(wire.far_status, IoStatus::Closed);
  }
}

TEST(Stream, FailsWhenARecordIsForged) {
  Wire wire;
  ASSERT_EQ(wire.shake_hands().state, Handshake::Done);
  std::string record = wire.client.encrypt("one message");
  record.back() = static_cast<char>(record.back() ^ 1);
  wire.send(record);
  EXPECT_EQ(wire.read(), "");
  EXPECT_EQ(wire.status, IoStatus::Failed);
  EXPECT_EQ(wire.client.decrypt(wire.receive()), "");
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
}

TEST(Stream, TellsAPeerWithoutTlsFromOneThatIsBroken) {
  Wire wire;
  wire.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(wire.stream.handshake(wire.buffer).state, Handshake::FailedByHttp);
  Wire other;
  other.send("garbage");
  EXPECT_EQ(other.stream.handshake(other.buffer).state, Handshake::Failed);
}

TEST(Stream, WithoutTlsIsItsSocket) {
  std::array<int, 2> fds{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
  Stream near{Socket(fds[0])};
  const Socket far{fds[1]};
  std::array<char, 10> buffer;
  EXPECT_EQ(near.write("hi").bytes, 2U);
  EXPECT_EQ(far.read(buffer).bytes, 2U);
  EXPECT_FALSE(near.has_ended());
}

}  // namespace
}  // namespace jamsocket::io

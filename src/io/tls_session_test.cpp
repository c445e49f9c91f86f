#include "io/tls_session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "io/tls_for_test.hpp"

namespace jamsocket::io {
namespace {

using Status = TlsSession::Status;

// A client and a session, and the wire between them in this test's hands.
struct Pair {
  explicit Pair(int version = TLS1_3_VERSION, std::string_view alpn = {}, const TlsLimits& limits = {})
      : client(version, alpn), session(context, limits), buffer(300'000) {}

  // In pieces of `piece` bytes, as from one read each; the answer goes to the client.
  Status send(std::string_view wire, std::size_t piece = 100'000) {
    Status status = Status::Open;
    while (!wire.empty()) {
      const std::string part(wire.substr(0, piece));
      wire.remove_prefix(part.size());
      const TlsSession::Received received = session.receive(part, buffer);
      plain.append(buffer.data(), received.plain_bytes);
      status = received.status;
      const std::string answer = session.take_outgoing();
      answered_bytes += answer.size();
      client.receive(answer);
    }
    return status;
  }
  bool shake_hands(std::size_t piece = 100'000) {
    for (int i = 0; i < 10 && !(client.is_established() && session.is_established()); ++i) {
      client.handshake();
      if (send(client.take_wire(), piece) == Status::Failed) {
        return false;
      }
    }
    client.handshake();
    return client.is_established() && session.is_established();
  }
  std::string encrypt(std::string_view text) {
    std::string wire(kTlsRecordBytesMax, '\0');
    wire.resize(session.encrypt(text, wire));
    return wire;
  }

  std::shared_ptr<const TlsContext> context = test_context();
  TestTlsClient client;
  TlsSession session;
  std::vector<char> buffer;
  std::string plain;
  std::size_t answered_bytes = 0;
};

TEST(TlsSession, SpeaksTls12And13BothWays) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Pair pair(version);
    ASSERT_TRUE(pair.shake_hands());
    EXPECT_EQ(SSL_version(pair.client.ssl()), version);
    EXPECT_EQ(pair.send(pair.client.encrypt("to the server")), Status::Open);
    EXPECT_EQ(pair.plain, "to the server");
    EXPECT_EQ(pair.client.decrypt(pair.encrypt("to the client")), "to the client");
  }
}

TEST(TlsSession, TakesTheWireByteByByte) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Pair pair(version);
    ASSERT_TRUE(pair.shake_hands(1));
    std::string wire = pair.client.encrypt("slowly");
    wire += pair.client.encrypt(" but surely");
    EXPECT_EQ(pair.send(wire, 1), Status::Open);
    EXPECT_EQ(pair.plain, "slowly but surely");
  }
}

// Goal: nothing decrypted stays behind, whatever was received with it. Method: the end of the handshake, many records
// and the first half of another in one piece.
TEST(TlsSession, LeavesNothingToBeReadLater) {
  Pair pair;
  pair.client.handshake();
  ASSERT_EQ(pair.send(pair.client.take_wire()), Status::Open);
  pair.client.handshake();
  std::string wire = pair.client.take_wire();  // Finished.
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string text(static_cast<std::size_t>(i) * 777, static_cast<char>('a' + i));
    wire += pair.client.encrypt(text);
    expected += text;
  }
  const std::string last = pair.client.encrypt(std::string(16'384, 'z'));
  wire += last.substr(0, last.size() / 2);
  EXPECT_EQ(pair.send(wire, wire.size()), Status::Open);
  EXPECT_EQ(pair.plain, expected);
  EXPECT_EQ(pair.send(last.substr(last.size() / 2)), Status::Open);
  EXPECT_EQ(pair.plain, expected + std::string(16'384, 'z'));
}

// The buffer of the wire is where the plain bytes go: the worst case is a record all but whole, and then as much as
// there is room for.
TEST(TlsSession, DecryptsInPlace) {
  Pair pair;
  ASSERT_TRUE(pair.shake_hands());
  std::string wire;
  std::string expected;
  for (int i = 0; i < 8; ++i) {
    const std::string text(kTlsPlainBytesMax, static_cast<char>('a' + i));
    wire += pair.client.encrypt(text);
    expected += text;
  }
  std::size_t at = 0;
  for (const std::size_t bytes : {std::size_t{16'400}, std::size_t{1}, wire.size()}) {
    const std::string_view piece = std::string_view(wire).substr(at, bytes);
    at += piece.size();
    const std::span<char> room = std::span(pair.buffer).subspan(kTlsRecordBytesMax);
    std::copy(piece.begin(), piece.end(), room.begin());
    const TlsSession::Received received = pair.session.receive(room.first(piece.size()), pair.buffer);
    ASSERT_EQ(received.status, Status::Open);
    pair.plain.append(pair.buffer.data(), received.plain_bytes);
  }
  EXPECT_EQ(pair.plain, expected);
}

TEST(TlsSession, ChoosesHttpAndRefusesWhoDoesNotSpeakIt) {
  Pair both(TLS1_3_VERSION, "\x02h2\x08http/1.1");
  ASSERT_TRUE(both.shake_hands());
  const unsigned char* chosen = nullptr;
  unsigned bytes = 0;
  SSL_get0_alpn_selected(both.client.ssl(), &chosen, &bytes);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(chosen), bytes), "http/1.1");

  Pair h2(TLS1_3_VERSION, "\x02h2");
  EXPECT_FALSE(h2.shake_hands());
  EXPECT_STREQ(h2.session.failure(), "no application protocol");
  h2.client.handshake();
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL);
}

TEST(TlsSession, RefusesOldVersions) {
  Pair pair(TLS1_1_VERSION);
  SSL_CTX_set_security_level(SSL_get_SSL_CTX(pair.client.ssl()), 0);
  SSL_set_security_level(pair.client.ssl(), 0);
  EXPECT_FALSE(pair.shake_hands());
  EXPECT_STREQ(pair.session.failure(), "unsupported protocol");
  EXPECT_GT(pair.answered_bytes, 0U);  // An alert.
}

TEST(TlsSession, GivesNoTickets) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Pair pair(version);
    ASSERT_TRUE(pair.shake_hands());
    EXPECT_EQ(pair.client.decrypt(pair.encrypt("x")), "x");
    EXPECT_EQ(SSL_SESSION_is_resumable(SSL_get_session(pair.client.ssl())), 0);
  }
}

TEST(TlsSession, TellsAnEndThatWasSaidAndIgnoresWhatFollows) {
  Pair pair;
  ASSERT_TRUE(pair.shake_hands());
  const std::string last = pair.client.encrypt("last words");
  EXPECT_EQ(SSL_shutdown(pair.client.ssl()), 0);
  EXPECT_EQ(pair.send(last + pair.client.take_wire() + last), Status::Ended);
  EXPECT_EQ(pair.plain, "last words");
  EXPECT_EQ(pair.send(last), Status::Ended);
  EXPECT_EQ(pair.plain, "last words");
}

TEST(TlsSession, SaysItsEndOnce) {
  Pair pair;
  pair.session.say_end();
  EXPECT_FALSE(pair.session.has_outgoing());  // There is nothing to end yet.
  ASSERT_TRUE(pair.shake_hands());
  pair.session.say_end();
  EXPECT_EQ(pair.client.decrypt(pair.session.take_outgoing()), "");
  EXPECT_EQ(pair.client.last_error(), SSL_ERROR_ZERO_RETURN);
  pair.session.say_end();
  EXPECT_FALSE(pair.session.has_outgoing());
}

// RFC 8446 section 4.6.3: a key update that asks for ours is answered, with the next record; too many are a failure.
TEST(TlsSession, AnswersKeyUpdatesUpToItsLimit) {
  constexpr std::uint32_t kMost = 3;
  Pair pair(TLS1_3_VERSION, {}, {.asked_changes_max = kMost});
  ASSERT_TRUE(pair.shake_hands());
  for (std::uint32_t i = 0; i < kMost; ++i) {
    EXPECT_EQ(SSL_key_update(pair.client.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    EXPECT_EQ(pair.send(pair.client.encrypt("x")), Status::Open);
    EXPECT_EQ(pair.client.decrypt(pair.encrypt("still here")), "still here");
  }
  EXPECT_EQ(SSL_key_update(pair.client.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
  EXPECT_EQ(pair.send(pair.client.encrypt("x")), Status::Failed);
  EXPECT_STREQ(pair.session.failure(), "too many key updates or renegotiations");
  EXPECT_EQ(pair.session.encrypt("x", pair.buffer), 0U);
  EXPECT_EQ(pair.send("more"), Status::Failed);
}

// Goal: the limit holds within one read. Method: a thousand of them at once.
TEST(TlsSession, StopsInTheMiddleOfAFloodOfKeyUpdates) {
  Pair pair;
  ASSERT_TRUE(pair.shake_hands());
  std::string flood;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(SSL_key_update(pair.client.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    EXPECT_EQ(SSL_do_handshake(pair.client.ssl()), 1);
    flood += pair.client.take_wire();
  }
  EXPECT_EQ(pair.send(flood), Status::Failed);
}

TEST(TlsSession, TakesANewKeyAfterSoManyRecords) {
  Pair pair(TLS1_3_VERSION, {}, {.records_per_key_max = 2});
  ASSERT_TRUE(pair.shake_hands());
  const std::size_t usual = pair.encrypt("12345").size();
  const std::string second = pair.encrypt("12345");
  const std::string third = pair.encrypt("12345");
  EXPECT_EQ(second.size(), usual);
  EXPECT_GT(third.size(), usual);
  EXPECT_LE(third.size() - usual, 100U);
}

TEST(TlsSession, DoesNotRenegotiate) {
  Pair pair(TLS1_2_VERSION);
  ASSERT_TRUE(pair.shake_hands());
  EXPECT_EQ(SSL_renegotiate(pair.client.ssl()), 1);
  pair.client.handshake();
  EXPECT_EQ(pair.send(pair.client.take_wire()), Status::Open);
  pair.client.handshake();
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
}

// Status and answer of bytes that are no good, each whole and byte by byte.
TEST(TlsSession, AnswersGarbageWithAnAlertOrNotAtAll) {
  struct Case {
    const char* name;
    std::string wire;
    bool has_alert;
    bool is_http;
  };
  const std::vector<Case> cases = {
      {"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", false, true},
      {"SSH", "SSH-2.0-OpenSSH_9.2p1\r\n", false, false},
      {"zeros", std::string(64, '\0'), false, false},
      {"ones", std::string(64, '\xFF'), false, false},
      {"record of 16 KiB and more", std::string("\x16\x03\x01\x48\x01\x01", 6) + std::string(100, 'x'), true, false},
      {"alert first", std::string("\x15\x03\x01\x00\x02\x02\x28", 7), true, false},
      {"application data first", std::string("\x17\x03\x03\x00\x01\x00", 6), true, false},
      {"SSL 2.0 hello", std::string("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", 11) + std::string(37, 'x'), true,
       false},
  };
  for (const Case& bad : cases) {
    for (const std::size_t piece : {std::size_t{1}, bad.wire.size()}) {
      Pair pair;
      EXPECT_EQ(pair.send(bad.wire, piece), Status::Failed) << bad.name << " in pieces of " << piece;
      EXPECT_EQ(pair.answered_bytes > 0, bad.has_alert) << bad.name;
      EXPECT_EQ(pair.session.met_plain_http(), bad.is_http) << bad.name;
    }
  }
}

}  // namespace
}  // namespace jamsocket::io

#include "test_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <tuple>
#include <utility>

namespace jamsocket::scenario {
namespace {

// Generous: it is only ever waited for by a test that fails.
constexpr std::chrono::seconds kDeadline{20};

// The example of RFC 6455, section 1.3: the accept value that belongs to the key is known.
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

constexpr std::uint8_t kFin = 0x80;
constexpr std::uint8_t kText = 1;
constexpr std::uint8_t kBinary = 2;
constexpr std::uint8_t kClose = 8;
constexpr std::uint8_t kPing = 9;
constexpr std::uint8_t kPong = 10;

std::unexpected<Error> io_error(std::string_view what) {
  return fail(ErrorCode::Io, std::string(what) + ": " + std::strerror(errno));
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

/// The value of a header of `head`, in which names are in lower case; empty if it is absent.
std::string_view header_of(std::string_view head, std::string_view lower_head, std::string_view name) {
  const std::size_t at = lower_head.find("\r\n" + std::string(name) + ":");
  if (at == std::string_view::npos) {
    return {};
  }
  const std::size_t begin = head.find_first_not_of(' ', at + 2 + name.size() + 1);
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

std::size_t content_length_of(std::string_view value) {
  std::size_t length = 0;
  std::from_chars(value.data(), value.data() + value.size(), length);
  return length;
}

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char c : bytes) {
    number = number << 8U | static_cast<unsigned char>(c);
  }
  return number;
}

}  // namespace

Result<TestClient::Answer> TestClient::connect(std::uint16_t port, std::string_view target, const Clock& clock) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return io_error("socket");
  }
  std::unique_ptr<TestClient> client(new TestClient(fd, clock));  // The constructor is private.
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return io_error("connect");
  }
  JAM_TRY_VOID(client->send_all(
      "GET " + std::string(target) + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
      "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
      std::string(kKey) + "\r\nUser-Agent: scenario\r\n\r\n"));
  const SteadyTime deadline = clock.steady() + kDeadline;
  std::size_t head_end = 0;
  while ((head_end = client->bytes_.find("\r\n\r\n")) == std::string::npos) {
    const bool more = JAM_TRY(client->fill(deadline));
    if (!more) {
      return fail(ErrorCode::Io, "the connection ended before an answer");
    }
  }
  const std::string head = client->bytes_.substr(0, head_end + 2);
  client->bytes_.erase(0, head_end + 4);
  const std::string lower_head = lower(head);
  Answer answer;
  if (!head.starts_with("HTTP/1.1 ") || head.size() < 12) {
    return fail(ErrorCode::Malformed, "not an HTTP answer: " + head);
  }
  std::from_chars(head.data() + 9, head.data() + 12, answer.status);
  if (answer.status == 101) {
    if (header_of(head, lower_head, "sec-websocket-accept") != kAccept ||
        lower(header_of(head, lower_head, "upgrade")) != "websocket") {
      return fail(ErrorCode::Malformed, "not the answer of RFC 6455, section 4.2.2: " + head);
    }
    answer.client = std::move(client);
    return answer;
  }
  const std::size_t length = content_length_of(header_of(head, lower_head, "content-length"));
  while (client->bytes_.size() < length && JAM_TRY(client->fill(deadline))) {
  }
  answer.body = client->bytes_.substr(0, length);
  return answer;
}

TestClient::~TestClient() { ::close(fd_); }

Result<void> TestClient::send_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      return io_error("send");
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<void> TestClient::send_frame(std::uint8_t first_byte, std::string_view payload) {
  static constexpr std::array<unsigned char, 4> kMask{0x37, 0xfa, 0x21, 0x3d};
  std::string frame(1, static_cast<char>(first_byte));
  const auto put = [&frame](std::uint64_t number, unsigned bytes) {
    for (unsigned shift = bytes * 8; shift > 0; shift -= 8) {
      frame += static_cast<char>(number >> (shift - 8) & 0xffU);
    }
  };
  if (payload.size() < 126) {
    put(0x80U | payload.size(), 1);
  } else if (payload.size() < 65536) {
    put(0x80U | 126U, 1);
    put(payload.size(), 2);
  } else {
    put(0x80U | 127U, 1);
    put(payload.size(), 8);
  }
  frame.append(kMask.begin(), kMask.end());
  for (std::size_t i = 0; i < payload.size(); ++i) {
    frame += static_cast<char>(static_cast<unsigned char>(payload[i]) ^ kMask[i % 4]);
  }
  return send_all(frame);
}

Result<bool> TestClient::fill(SteadyTime deadline) {
  const auto left = std::chrono::duration_cast<Milliseconds>(deadline - clock_.steady());
  pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
  const int count = ::poll(&ready, 1, static_cast<int>(std::max<Milliseconds::rep>(left.count(), 0)));
  if (count < 0) {
    return io_error("poll");
  }
  if (count == 0) {
    return fail(ErrorCode::Io, "nothing came in time");
  }
  std::array<char, 65536> buffer{};
  const ssize_t received = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (received < 0 && errno != ECONNRESET) {
    return io_error("recv");
  }
  if (received <= 0) {
    return false;
  }
  bytes_.append(buffer.data(), static_cast<std::size_t>(received));
  return true;
}

Result<bool> TestClient::take_frame() {
  const std::string_view bytes = bytes_;
  if (bytes.size() < 2) {
    return false;
  }
  const auto second = static_cast<unsigned char>(bytes[1]);
  if ((second & 0x80U) != 0) {
    return fail(ErrorCode::Malformed, "a server's frame must not be masked");
  }
  const std::size_t length_bytes = second == 127 ? 8 : second == 126 ? 2 : 0;
  if (bytes.size() < 2 + length_bytes) {
    return false;
  }
  const std::uint64_t length = length_bytes == 0 ? second : big_endian(bytes.substr(2, length_bytes));
  if (length_bytes == 2 ? length < 126 : length_bytes == 8 && length < 65536) {
    return fail(ErrorCode::Malformed, "a length is encoded in the fewest bytes");
  }
  if (bytes.size() - 2 - length_bytes < length) {
    return false;
  }
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const std::string payload(bytes.substr(2 + length_bytes, length));
  bytes_.erase(0, 2 + length_bytes + length);
  JAM_TRY_VOID(on_frame(first, payload));
  return true;
}

Result<void> TestClient::on_frame(std::uint8_t first_byte, const std::string& payload) {
  const auto opcode = static_cast<std::uint8_t>(first_byte & 0x0fU);
  if ((first_byte & 0x70U) != 0 || (opcode >= kClose && ((first_byte & kFin) == 0 || payload.size() > 125))) {
    return fail(ErrorCode::Malformed, "a reserved bit, or a control frame that is fragmented or too long");
  }
  switch (opcode) {
    case 0:
    case kText:
    case kBinary:
      if ((opcode == 0) != (message_opcode_ != 0)) {
        return fail(ErrorCode::Malformed, "a fragment out of place");
      }
      message_opcode_ = opcode != 0 ? opcode : message_opcode_;
      message_ += payload;
      if ((first_byte & kFin) != 0) {
        const auto kind = message_opcode_ == kText ? Received::Kind::Text : Received::Kind::Binary;
        inbox_.push_back({.kind = kind, .payload = std::exchange(message_, {}), .close_code = 0});
        message_opcode_ = 0;
      }
      return {};
    case kPing:
      return send_frame(kFin | kPong, payload);
    case kPong:
      pongs_seen_ = payload == "barrier " + std::to_string(pongs_seen_ + 1) ? pongs_seen_ + 1 : pongs_seen_;
      return {};
    case kClose: {
      if (payload.size() == 1) {
        return fail(ErrorCode::Malformed, "a close frame with one byte");
      }
      const std::uint64_t code = payload.empty() ? 1005 : big_endian(std::string_view(payload).substr(0, 2));
      inbox_.push_back({.kind = Received::Kind::Closed,
                        .payload = payload.substr(payload.empty() ? 0 : 2),
                        .close_code = static_cast<std::uint16_t>(code)});
      ended_ = true;
      if (!std::exchange(close_sent_, true)) {
        // The server may have gone already (after 1002, say): then nobody waits for this answer.
        std::ignore = send_frame(kFin | kClose, std::string_view(payload).substr(0, 2));
      }
      return {};
    }
    default:
      return fail(ErrorCode::Malformed, "an unknown opcode");
  }
}

template <class Done>
Result<void> TestClient::read_until(Done done) {
  const SteadyTime deadline = clock_.steady() + kDeadline;
  while (!done() && !ended_) {
    if (JAM_TRY(take_frame())) {
      continue;
    }
    const bool more = JAM_TRY(fill(deadline));
    if (!more) {
      inbox_.push_back({.kind = Received::Kind::Lost, .payload = {}, .close_code = 0});
      ended_ = true;
    }
  }
  return {};
}

Result<Received> TestClient::next() {
  JAM_TRY_VOID(read_until([this] { return !inbox_.empty(); }));
  if (inbox_.empty()) {
    return fail(ErrorCode::Io, "the connection has ended before");
  }
  Received received = std::move(inbox_.front());
  inbox_.pop_front();
  return received;
}

void TestClient::barrier_begin() {
  // A connection that has just been closed by the server cannot take a ping; barrier_end finds the end.
  std::ignore = send_frame(kFin | kPing, "barrier " + std::to_string(++pings_sent_));
}

Result<void> TestClient::barrier_end() {
  return read_until([this] { return pongs_seen_ == pings_sent_; });
}

Result<void> TestClient::close() {
  if (!std::exchange(close_sent_, true)) {
    JAM_TRY_VOID(send_frame(kFin | kClose, std::string_view("\x03\xe8", 2)));
  }
  JAM_TRY_VOID(read_until([] { return false; }));
  const SteadyTime deadline = clock_.steady() + kDeadline;
  while (JAM_TRY(fill(deadline))) {
  }
  const bool answered = std::ranges::any_of(inbox_, [](const Received& r) { return r.kind == Received::Kind::Closed; });
  inbox_.clear();
  if (!answered) {
    return fail(ErrorCode::Malformed, "the close frame was not answered");
  }
  return {};
}

void TestClient::reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace jamsocket::scenario

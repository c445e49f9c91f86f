#include "load/clients.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "load/machine.hpp"

namespace jamsocket::bench {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20U;
constexpr std::size_t kWireBytes = std::size_t{1} << 16U;
constexpr int kUpgradeTimeoutMs = 5000;
constexpr std::array<char, 4> kMask{0x37, 0x5a, 0x21, 0x4d};
// RFC 6455's own example key, so that the floor, whose answer is canned, can be measured too.
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

void send_wire(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (sent < 0 && errno != EINTR) {
      die_errno("send");
    }
  }
}

unsigned byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

std::size_t big_endian(std::string_view bytes) {
  std::size_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    value = value << 8U | byte_at(bytes, i);
  }
  return value;
}

}  // namespace

StampedFrame::StampedFrame(std::size_t payload_bytes, bool text) {
  frame_.push_back(static_cast<char>(text ? 0x81 : 0x82));
  const auto append_length = [this](unsigned marker, std::size_t value, unsigned bytes) {
    frame_.push_back(static_cast<char>(0x80U | marker));
    for (unsigned i = bytes; i > 0; --i) {
      frame_.push_back(static_cast<char>(value >> (8U * (i - 1))));
    }
  };
  if (payload_bytes < 126) {
    append_length(static_cast<unsigned>(payload_bytes), 0, 0);
  } else if (payload_bytes < 65536) {
    append_length(126, payload_bytes, 2);
  } else {
    append_length(127, payload_bytes, 8);
  }
  frame_.append(kMask.data(), kMask.size());
  payload_at_ = frame_.size();
  for (std::size_t i = 0; i < payload_bytes; ++i) {
    frame_.push_back(static_cast<char>(('a' + static_cast<int>(i % 26)) ^ kMask[i % 4]));
  }
}

const std::string& StampedFrame::stamped(std::uint64_t stamp) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  for (std::size_t i = 0; i < 16; ++i) {
    frame_[payload_at_ + i] = static_cast<char>(kDigits[(stamp >> (60 - 4 * i)) & 15U] ^ kMask[i % 4]);
  }
  return frame_;
}

std::uint64_t StampedFrame::stamp_of(std::string_view payload) {
  std::uint64_t stamp = 0;
  for (const char digit : payload.substr(0, 16)) {
    stamp = stamp << 4U | static_cast<std::uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return stamp;
}

Clients::Clients(const LoadOptions& options)
    : options_(options), buffer_(kBufferBytes), wire_(kWireBytes), events_(1024) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) {
    die_errno("epoll_create1");
  }
}

Clients::~Clients() { ::close(epoll_); }

std::string Clients::request(const Client& client) const {
  std::string path = options_.path;
  if (const std::size_t at = path.find("{room}"); at != std::string::npos) {
    path.replace(at, 6, std::to_string(client.room));
  }
  const std::string proxy = options_.proxy ? "PROXY TCP4 127.0.0.1 127.0.0.1 40000 80\r\n" : "";
  const std::string header = options_.header.empty() ? "" : "\r\n" + options_.header;
  return proxy + "GET " + path + " HTTP/1.1\r\nHost: " + options_.host + ":" + std::to_string(options_.port) +
         "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + std::string(kKey) +
         "\r\nSec-WebSocket-Version: 13" + header + "\r\n\r\n";
}

void Clients::dial(Client& client) {
  client.dialled_ns = now_ns();
  client.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (client.fd < 0) {
    die_errno("socket");
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options_.port);
  if (inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr) != 1) {
    die("--host must be an IPv4 address");
  }
  if (::connect(client.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    die_errno("connect");
  }
  const int on = 1;
  setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const linger reset{1, 0};
  setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  if (options_.tls) {
    client.tls = std::make_unique<TlsClient>(tls_);
    send_wire(client.fd, client.tls->take_outgoing());
  } else {
    send_all(client, request(client));
  }
  epoll_event event{EPOLLIN, {&client}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event) != 0) {
    die_errno("epoll_ctl");
  }
}

// @return whether plain bytes may follow.
bool Clients::read_handshake(Client& client, std::string_view wire) {
  const bool was_established = client.tls->is_established();
  client.tls->receive(wire);
  send_wire(client.fd, client.tls->take_outgoing());
  if (!was_established && client.tls->is_established()) {
    send_all(client, request(client));
  }
  return client.tls->is_established();
}

bool Clients::read_upgrade(Client& client) {
  std::array<char, 4096> bytes;
  const ssize_t got = ::recv(client.fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got == 0) {
    die("the server closed during the upgrade");
  }
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) {
      return false;
    }
    die_errno("recv in the upgrade");
  }
  const std::string_view received(bytes.data(), static_cast<std::size_t>(got));
  if (client.tls == nullptr) {
    client.pending.append(received);
  } else if (read_handshake(client, received)) {
    client.pending.append(buffer_.data(), client.tls->read(buffer_));
  }
  if (client.open) {
    check_early_frames(client.pending);
    return false;
  }
  const std::size_t end = client.pending.find("\r\n\r\n");
  if (end == std::string::npos) {
    return false;
  }
  if (!client.pending.starts_with("HTTP/1.1 101") || client.pending.find(kAccept) > end) {
    die("not upgraded: " + client.pending.substr(0, 200));
  }
  client.pending.erase(0, end + 4);
  client.open = true;
  check_early_frames(client.pending);
  return true;
}

// They wait for the measurement; but a server that closes a client ends the run at once, as nothing might be read of it
// later.
void Clients::check_early_frames(std::string_view bytes) {
  for (ServerFrame frame = front_frame(bytes); frame.bytes != 0; frame = front_frame(bytes)) {
    bytes.remove_prefix(frame.bytes);
  }
}

double Clients::open_all(std::span<Client> clients) {
  const std::uint64_t start = now_ns();
  std::size_t next = 0;
  std::size_t opened = 0;
  while (opened < clients.size()) {
    while (next < clients.size() && next - opened < options_.burst) {
      dial(clients[next++]);
    }
    const auto events = wait(kUpgradeTimeoutMs);
    if (events.empty()) {
      die("no answer to an upgrade within 5 s; open: " + std::to_string(opened));
    }
    for (const auto& event : events) {
      opened += read_upgrade(client_of(event)) ? 1U : 0U;
    }
  }
  return static_cast<double>(now_ns() - start) / 1e6;
}

void Clients::leave(Client& client) {
  ::close(client.fd);
  client.fd = -1;
  client.open = false;
  client.tls.reset();
  client.pending.clear();
}

std::span<epoll_event> Clients::wait(int timeout_ms) { return wait(std::chrono::milliseconds{timeout_ms}); }

std::span<epoll_event> Clients::wait(std::chrono::nanoseconds timeout) {
  constexpr long kNsPerSecond = 1'000'000'000;
  const timespec limit{.tv_sec = timeout.count() / kNsPerSecond, .tv_nsec = timeout.count() % kNsPerSecond};
  const int count = epoll_pwait2(epoll_, events_.data(), static_cast<int>(events_.size()), &limit, nullptr);
  if (count < 0 && errno != EINTR) {
    die_errno("epoll_wait");
  }
  return std::span(events_).first(count < 0 ? 0 : static_cast<std::size_t>(count));
}

void Clients::send_all(Client& client, std::string_view bytes) {
  if (client.tls == nullptr) {
    send_wire(client.fd, bytes);
  } else {
    client.tls->write(bytes);
    send_wire(client.fd, client.tls->take_outgoing());
  }
}

std::string_view Clients::read(Client& client) {
  const std::size_t kept = client.pending.size();
  std::memcpy(buffer_.data(), client.pending.data(), kept);
  const std::span<char> into = std::span(buffer_).subspan(kept);
  const std::span<char> wire = client.tls == nullptr ? into : std::span(wire_);
  const ssize_t got = ::recv(client.fd, wire.data(), wire.size(), MSG_DONTWAIT);
  if (got == 0) {
    die("the server closed a connection");
  }
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) {
      return {};
    }
    die_errno("recv");
  }
  auto bytes = static_cast<std::size_t>(got);
  if (client.tls != nullptr) {
    client.tls->receive({wire.data(), bytes});
    bytes = client.tls->read(into);
    if (bytes == 0) {
      return {};
    }
  }
  return {buffer_.data(), kept + bytes};
}

Clients::ServerFrame Clients::front_frame(std::string_view bytes) {
  if (bytes.size() < 2) {
    return {};
  }
  const unsigned first = byte_at(bytes, 0);
  const unsigned second = byte_at(bytes, 1);
  std::size_t payload_bytes = second & 0x7fU;
  std::size_t head_bytes = 2;
  if (payload_bytes >= 126) {
    head_bytes = payload_bytes == 126 ? 4 : 10;
    if (bytes.size() < head_bytes) {
      return {};
    }
    payload_bytes = big_endian(bytes.substr(2, head_bytes - 2));
  }
  if ((second & 0x80U) != 0) {
    die("a masked frame from the server");
  }
  if (payload_bytes > kBufferBytes - head_bytes) {
    die("a frame too large for this client");
  }
  const unsigned opcode = first & 15U;
  if (opcode == 8) {
    die("a close frame from the server");
  }
  if (opcode == 0 || (opcode < 8 && (first & 0x80U) == 0)) {
    die("a fragmented message");  // Not expected of a server under test.
  }
  if (bytes.size() < head_bytes + payload_bytes) {
    return {};
  }
  return {opcode < 8 ? ServerFrame::Kind::Message : ServerFrame::Kind::PingOrPong, head_bytes,
          head_bytes + payload_bytes};
}

}  // namespace jamsocket::bench

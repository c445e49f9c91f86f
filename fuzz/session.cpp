// fuzz/session.cpp
//
// Promise: whatever clients send, in whatever pieces, and whatever the network does (short reads and
// writes, no room, resets and ends at every step, time that passes), a shard neither crashes nor breaks
// an invariant; when it is told to end it ends, and has closed every socket.
//
// A whole shard runs: requests, upgrades, sessions, rooms, a native service. Only the system calls are
// replaced: this file defines io::Socket and io::EventLoop in place of src/io's, so that the linker
// takes these. The input is a script: an operation a byte, with its arguments behind it.

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "io/event_loop.hpp"
#include "io/socket.hpp"
#include "server/shard.hpp"
#include "service/native.hpp"

namespace {

using jamsocket::Bytes;
using jamsocket::ClientId;
using jamsocket::ClientInfo;
using jamsocket::Context;

// The other end of the server's sockets, and of the wire between.
struct Peer {
  std::string inbound;              // On its way to the server.
  std::size_t read_piece = 65'536;  // At most so much a read.
  std::size_t write_room = 65'536;  // What the server may write before it is told to wait.
  bool ended = false;               // A FIN behind `inbound`.
  bool reset = false;
  std::uint32_t watched = 0;
  bool has_changed = false;  // Since the server was told what is ready, for one that is told of changes only.
  jamsocket::io::EventHandler* handler = nullptr;
};

// Obeys its messages: every effect there is can be asked for.
class Obedient {
 public:
  Obedient(std::string_view, Context&) {}
  void connect(ClientId client, const ClientInfo& info, Context& context) {
    if (info.query() == "refuse") {
      context.refuse("no");
    }
    context.send_message(client, "welcome");
  }
  void disconnect(ClientId, Context& context) { context.send_message(jamsocket::broadcast, "left"); }
  void message(ClientId client, std::string_view text, Context& context) {
    if (text.starts_with("throw")) {
      throw std::runtime_error("as asked");
    }
    if (text.starts_with("close")) {
      context.close(client, 4000, "as asked");
    } else if (text.starts_with("timer")) {
      context.set_timer(50);
    } else if (text.starts_with("flood")) {
      const std::string large(50'000, 'f');
      for (int i = 0; i < 4; ++i) {
        context.send_message(jamsocket::broadcast, large);
      }
    } else {
      context.send_message(jamsocket::broadcast, text);
    }
  }
  void binary(ClientId client, Bytes bytes, Context& context) {
    context.send_binary(jamsocket::everyone_except(client), bytes);
  }
  void timer(Context& context) { context.send_message(jamsocket::broadcast, "tick"); }
};

// Reads the script, and does what it says whenever the shard waits.
class Network {
 public:
  explicit Network(std::string_view script) : script_(script) {}

  void attach(jamsocket::server::Shard& shard, jamsocket::ManualClock& clock) {
    shard_ = &shard;
    clock_ = &clock;
  }
  Peer* find(int fd) {
    const auto found = peers_.find(fd);
    return found == peers_.end() ? nullptr : &found->second;
  }
  void close(int fd) { peers_.erase(fd); }
  [[nodiscard]] bool all_closed() const { return peers_.empty(); }

  // One operation; at the end of the script the shard is told to end.
  void step() {
    constexpr int kPeersMax = 6;
    if (script_.empty()) {
      read_in_one_piece();
      if (++turns_after_script_ > kTurnsToSettle) {
        check_that_all_was_read();
        shard_->end();
      }
      return;
    }
    const unsigned operation = take() % 16;
    if (operation == 0 || peers_.empty()) {
      if (peers_.size() < kPeersMax) {
        const int fd = next_fd_++;
        peers_[fd];
        shard_->accepted(jamsocket::io::Socket(fd), {});
      }
      return;
    }
    auto chosen = peers_.begin();
    std::advance(chosen, take() % peers_.size());
    chosen->second.has_changed = true;
    act(operation, chosen->second);
  }

  std::vector<epoll_event> ready() {
    std::vector<epoll_event> events;
    for (auto& [fd, peer] : peers_) {
      std::uint32_t mask = 0;
      if (peer.reset) {
        mask |= EPOLLERR | EPOLLHUP | (peer.watched & (EPOLLIN | EPOLLRDHUP));
      } else {
        mask |= !peer.inbound.empty() || peer.ended ? (peer.watched & EPOLLIN) : 0U;
        mask |= peer.ended ? (peer.watched & EPOLLRDHUP) : 0U;
        mask |= peer.write_room > 0 ? (peer.watched & EPOLLOUT) : 0U;
      }
      if ((peer.watched & EPOLLET) != 0 && !std::exchange(peer.has_changed, false)) {
        continue;
      }
      if (mask != 0 && peer.handler != nullptr) {
        epoll_event event{};
        event.events = mask;
        event.data.ptr = peer.handler;
        events.push_back(event);
      }
    }
    return events;
  }

 private:
  unsigned char take() {
    if (script_.empty()) {
      return 0;
    }
    const char next = script_.front();
    script_.remove_prefix(1);
    return static_cast<unsigned char>(next);
  }
  std::string_view take_bytes(std::size_t wanted) {
    const std::string_view bytes = script_.substr(0, wanted);
    script_.remove_prefix(bytes.size());
    return bytes;
  }

  void act(unsigned operation, Peer& peer) {
    static constexpr std::string_view kUpgrade =
        " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    switch (operation) {
      case 1:
      case 2:
        peer.inbound += "GET /ws/" + std::string(1, static_cast<char>('a' + take() % 3));
        peer.inbound += take() % 8 == 0 ? "?refuse" : "";
        peer.inbound += kUpgrade;
        peer.inbound += take() % 3 == 0 ? "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n" : "\r\n";
        return;
      case 3:
      case 4:
      case 5:
        return frame(peer);
      case 6:
        return say(peer);
      case 7:
        peer.inbound += take_bytes(take());
        return;
      case 8:
        peer.read_piece = 1U + take() % 64U;
        return;
      case 9:
        peer.read_piece = 65'536;
        return;
      case 10:
        peer.write_room = take() % 100U;
        return;
      case 11:
        peer.write_room = std::size_t{1} << 20U;
        return;
      case 12:
        peer.ended = true;
        return;
      case 13:
        peer.reset = true;
        return;
      case 14:
        clock_->advance(jamsocket::Milliseconds{take() * 40});
        return;
      default:
        peer.inbound += "GET /status HTTP/1.1\r\nHost: x\r\n\r\nPOST /ws/a HTTP/1.1\r\nHost: x\r\n\r\n";
        return;
    }
  }

  // Any first byte, any payload of the script's, masked with zeros.
  void frame(Peer& peer) {
    const unsigned char first = take();
    const std::string_view payload = take_bytes(take() % 126U);
    peer.inbound += static_cast<char>(first);
    peer.inbound += static_cast<char>(0x80U | payload.size());
    peer.inbound.append(4, '\0');
    peer.inbound += payload;
  }

  void say(Peer& peer) {
    static constexpr std::string_view kWords[] = {"hello", "throw", "close", "timer", "flood"};
    const std::string_view word = kWords[take() % std::size(kWords)];
    peer.inbound += std::string{static_cast<char>(0x81), static_cast<char>(0x80U | word.size()), 0, 0, 0, 0};
    peer.inbound += word;
  }

  // What is left is read in a few turns, by who is told of it.
  void read_in_one_piece() {
    for (auto& [fd, peer] : peers_) {
      peer.read_piece = 65'536;
    }
  }

  // What came and nobody was told of would wait for ever.
  void check_that_all_was_read() const {
    for (const auto& [fd, peer] : peers_) {
      const bool is_readable = !peer.inbound.empty() || peer.ended;
      JAM_CHECK(!is_readable || (peer.watched & EPOLLIN) == 0 || peer.reset);
    }
  }

  static constexpr int kTurnsToSettle = 300;
  int turns_after_script_ = 0;
  std::string_view script_;
  std::map<int, Peer> peers_;
  int next_fd_ = 1000;
  jamsocket::server::Shard* shard_ = nullptr;
  jamsocket::ManualClock* clock_ = nullptr;
};

// What the replaced system calls talk to. One at a time: the fuzzer has one thread.
Network* network = nullptr;

}  // namespace

namespace jamsocket::io {

std::string errno_message(std::string_view call) { return std::string(call); }

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = other.release();
  }
  return *this;
}
int Socket::release() { return std::exchange(fd_, -1); }
void Socket::close() {
  if (fd_ >= 0 && network != nullptr) {
    network->close(fd_);
  }
  fd_ = -1;
}

IoResult Socket::read(std::span<char> into) const {
  Peer* peer = network->find(fd_);
  JAM_CHECK(peer != nullptr);
  if (peer->reset) {
    return {IoStatus::Failed, 0};
  }
  const std::size_t bytes = std::min({into.size(), peer->inbound.size(), peer->read_piece});
  if (bytes == 0) {
    return {peer->ended ? IoStatus::Closed : IoStatus::WouldBlock, 0};
  }
  std::memcpy(into.data(), peer->inbound.data(), bytes);
  peer->inbound.erase(0, bytes);
  // As if what a short read leaves had come right behind it.
  peer->has_changed = peer->has_changed || (bytes < into.size() && !peer->inbound.empty());
  return {IoStatus::Done, bytes};
}

IoResult Socket::write(std::string_view bytes) const { return write(std::span<const std::string_view>(&bytes, 1)); }

IoResult Socket::write(std::span<const std::string_view> parts) const {
  Peer* peer = network->find(fd_);
  JAM_CHECK(peer != nullptr);
  if (peer->reset) {
    return {IoStatus::Failed, 0};
  }
  std::size_t bytes = 0;
  for (const std::string_view part : parts) {
    bytes += part.size();
  }
  const std::size_t written = std::min(bytes, peer->write_room);
  peer->write_room -= written;
  return written == 0 && bytes > 0 ? IoResult{IoStatus::WouldBlock, 0} : IoResult{IoStatus::Done, written};
}

void Socket::shut_down_writing() const { JAM_CHECK(network->find(fd_) != nullptr); }
void Socket::reset_on_close() const { JAM_CHECK(network->find(fd_) != nullptr); }
std::string PeerAddress::text() const { return ip().text(); }
IpAddress PeerAddress::ip() const { return IpAddress::v4({192, 0, 2, 1}); }
bool PeerAddress::is_unix() const { return false; }
IoResult Socket::peek(std::span<char> /*into*/) const { return {IoStatus::WouldBlock, 0}; }

PeerAddress peer_of(const Socket& /*socket*/) { return {}; }

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  return std::unique_ptr<EventLoop>(new EventLoop(Socket(), Socket()));
}
EventLoop::EventLoop(Socket epoll, Socket wake_up) : epoll_(std::move(epoll)), wake_up_(std::move(wake_up)) {}

Result<void> EventLoop::add(const Socket& socket, std::uint32_t events, EventHandler& handler) {
  Peer* peer = network->find(socket.fd());
  JAM_CHECK(peer != nullptr && peer->handler == nullptr);
  peer->watched = events;
  peer->handler = &handler;
  peer->has_changed = true;
  return {};
}
void EventLoop::change(const Socket& socket, std::uint32_t events, EventHandler& handler) {
  Peer* peer = network->find(socket.fd());
  JAM_CHECK(peer != nullptr && peer->handler != nullptr);
  peer->watched = events;
  peer->handler = &handler;
  peer->has_changed = true;
}
void EventLoop::remove(const Socket& socket) {
  Peer* peer = network->find(socket.fd());
  JAM_CHECK(peer != nullptr && peer->handler != nullptr);
  peer->handler = nullptr;
}
std::span<const epoll_event> EventLoop::wait(std::optional<std::chrono::nanoseconds>) {
  network->step();
  ready_ = network->ready();
  return ready_;
}
void EventLoop::wake() {}

}  // namespace jamsocket::io

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using jamsocket::server::Shard;
  Network script(std::string_view(reinterpret_cast<const char*>(data), size));
  network = &script;
  jamsocket::ServerOptions options;
  options.shutdown_policy = "1sec";
  options.compression = "message";
  options.limits.message_bytes_max = 4096;
  options.limits.outbound_bytes_max = 60'000;
  options.limits.inbox_bytes_max = 4096;
  options.limits.message_timeout = jamsocket::Milliseconds{2000};
  const auto settings = jamsocket::server::Settings::from(options);
  JAM_CHECK(settings.has_value());
  jamsocket::NullLogger logger;
  jamsocket::ManualClock clock;
  jamsocket::server::Services services;
  const auto hosted = std::make_shared<jamsocket::server::HostedService>();
  hosted->service =
      jamsocket::service::make_native_service("obedient", jamsocket::detail::native_service_factory<Obedient>());
  hosted->settings = *jamsocket::server::ServiceSettings::from(options);
  const auto none = services.exchange(services.owned()->with({}, hosted));
  jamsocket::server::LoopThreads threads(logger);
  std::vector<std::unique_ptr<Shard>> shards;
  std::atomic<std::uint32_t> connections{0};
  std::atomic<std::uint32_t> rooms{0};
  jamsocket::server::LimitLog limit_log(logger);
  jamsocket::server::MemoryWatch memory({}, [] { return std::uint64_t{0}; });
  const jamsocket::server::Shared shared{.settings = *settings,
                                         .services = services,
                                         .files = {},
                                         .logger = logger,
                                         .clock = clock,
                                         .room_hash = jamsocket::server::RoomNameHash(1),
                                         .shards = shards,
                                         .connection_count = connections,
                                         .room_count = rooms,
                                         .threads = threads,
                                         .limit_log = limit_log,
                                         .memory = memory};
  auto shard = Shard::create(0, shared);
  JAM_CHECK(shard.has_value());
  shards.push_back(std::move(*shard));
  script.attach(*shards[0], clock);
  JAM_CHECK(shards[0]->run() == jamsocket::server::LoopEnd::Ended);
  JAM_CHECK(script.all_closed());
  JAM_CHECK(connections == 0);
  shards.clear();
  network = nullptr;
  return 0;
}

#include "floor/floor.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

namespace jamsocket::bench {
namespace {

constexpr std::string_view kUpgraded =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
constexpr std::size_t kInputBytes = std::size_t{1} << 18U;
constexpr std::size_t kMaskBytes = 4;

[[noreturn]] void die_errno(const char* what) {
  std::fprintf(stderr, "raw_epoll: %s: %s\n", what, std::strerror(errno));
  std::exit(2);
}

int listen_on(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    die_errno("socket");
  }
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    die_errno("bind");
  }
  if (listen(fd, 4096) != 0) {
    die_errno("listen");
  }
  return fd;
}

SSL_CTX* serving_tls(const std::string& certificate, const std::string& key) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr || SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    std::exit(2);
  }
  // What our own server offers, so that both encrypt alike.
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

/// The head of an unmasked binary frame.
std::string frame_head(std::size_t payload_bytes) {
  std::string head(1, static_cast<char>(0x82));
  if (payload_bytes < 126) {
    head += static_cast<char>(payload_bytes);
  } else if (payload_bytes < 65536) {
    head += {126, static_cast<char>(payload_bytes >> 8U), static_cast<char>(payload_bytes)};
  } else {
    head += static_cast<char>(127);
    for (int shift = 56; shift >= 0; shift -= 8) {
      head += static_cast<char>(payload_bytes >> static_cast<unsigned>(shift));
    }
  }
  return head;
}

void unmask(const char* masked, std::size_t bytes, char* out) {
  const char* source = masked + kMaskBytes;
  std::uint64_t mask = 0;
  std::memcpy(&mask, masked, kMaskBytes);
  mask |= mask << 32U;
  std::size_t i = 0;
  for (; i + sizeof mask <= bytes; i += sizeof mask) {
    std::uint64_t word = 0;
    std::memcpy(&word, source + i, sizeof word);
    word ^= mask;
    std::memcpy(out + i, &word, sizeof word);
  }
  for (; i < bytes; ++i) {
    out[i] = static_cast<char>(source[i] ^ masked[i % kMaskBytes]);
  }
}

/// The digits after the last '-' of the request's path; 0 where there are none.
std::uint32_t room_number(std::string_view request) {
  const std::string_view line = request.substr(0, request.find("\r\n"));
  const std::string_view path = line.substr(0, line.rfind(' '));
  const std::size_t dash = path.rfind('-');
  std::uint32_t number = 0;
  if (dash != std::string_view::npos) {
    std::from_chars(path.data() + dash + 1, path.data() + path.size(), number);
  }
  return number;
}

}  // namespace

Floor::Floor(const FloorOptions& options)
    : options_(options), listener_(listen_on(options.port)), input_(kInputBytes), head_(frame_head(options.payload)) {
  frame_ = head_ + std::string(options_.payload, 'x');
  if (!options_.tls_cert.empty()) {
    tls_.reset(serving_tls(options_.tls_cert, options_.tls_key));
  }
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN, {nullptr}};
  if (epoll_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) != 0) {
    die_errno("epoll");
  }
}

void Floor::run() {
  std::vector<epoll_event> events(1024);
  for (;;) {
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (const epoll_event& event : std::span(events).first(count < 0 ? 0 : static_cast<std::size_t>(count))) {
      if (event.data.ptr == nullptr) {
        accept_all();
        continue;
      }
      Peer& peer = *static_cast<Peer*>(event.data.ptr);
      if ((event.events & EPOLLOUT) != 0) {
        writable(peer);
      }
      if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
        readable(peer);
      }
    }
    end_of_turn();
  }
}

void Floor::accept_all() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      return;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto* peer = new Peer;  // Freed by leave(): the epoll set is what owns it.
    peer->fd = fd;
    if (tls_ != nullptr) {
      peer->tls.reset(SSL_new(tls_.get()));
      SSL_set_fd(peer->tls.get(), fd);
      SSL_set_accept_state(peer->tls.get());
    }
    epoll_event event{EPOLLIN, {peer}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
}

ssize_t Floor::receive(Peer& peer, char* to, std::size_t bytes) {
  if (peer.tls == nullptr) {
    return ::recv(peer.fd, to, bytes, MSG_DONTWAIT);
  }
  std::size_t total = 0;
  do {  // One read of the socket may have brought several records.
    std::size_t got = 0;
    ERR_clear_error();
    const int done = SSL_read_ex(peer.tls.get(), to + total, bytes - total, &got);
    if (done != 1) {
      const bool waits = SSL_get_error(peer.tls.get(), done) == SSL_ERROR_WANT_READ;
      errno = waits ? EAGAIN : EPROTO;
      return total > 0 ? static_cast<ssize_t>(total) : -1;
    }
    total += got;
  } while (SSL_has_pending(peer.tls.get()) == 1 && total < bytes);
  return static_cast<ssize_t>(total);
}

ssize_t Floor::send(Peer& peer, std::string_view bytes) {
  if (peer.tls == nullptr) {
    return ::send(peer.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  std::size_t sent = 0;
  ERR_clear_error();
  return SSL_write_ex(peer.tls.get(), bytes.data(), bytes.size(), &sent) == 1 ? static_cast<ssize_t>(sent) : -1;
}

void Floor::readable(Peer& peer) {
  const std::size_t kept = peer.pending.size();
  std::memcpy(input_.data(), peer.pending.data(), kept);
  const ssize_t got = receive(peer, input_.data() + kept, input_.size() - kept);
  if (got == 0 || (got < 0 && errno != EAGAIN)) {
    leave(peer);
    return;
  }
  if (got < 0) {
    return;
  }
  const std::string_view bytes(input_.data(), kept + static_cast<std::size_t>(got));
  if (peer.room != nullptr) {
    frames(peer, bytes);
  } else if (bytes.find("\r\n\r\n") == std::string_view::npos) {
    peer.pending.assign(bytes);
  } else {
    upgrade(peer, bytes);
  }
}

void Floor::upgrade(Peer& peer, std::string_view request) {
  peer.pending.clear();
  peer.room = &rooms_[room_number(request)];
  peer.place = peer.room->members.size();
  peer.room->members.push_back(&peer);
  deliver(peer, kUpgraded);
}

void Floor::frames(Peer& peer, std::string_view bytes) {
  const std::size_t client_frame_bytes = frame_.size() + kMaskBytes;
  const bool echo = options_.mode == "echo";
  for (; bytes.size() >= client_frame_bytes; bytes.remove_prefix(client_frame_bytes)) {
    unmask(bytes.data() + head_.size(), options_.payload, frame_.data() + head_.size());
    if (echo) {
      echoes_ += frame_;
    } else if (options_.coalesce) {
      if (peer.room->batch.empty()) {
        touched_.push_back(peer.room);
      }
      peer.room->batch += frame_;
      peer.spoke = true;
    } else {
      for (Peer* member : peer.room->members) {
        if (member != &peer) {
          deliver(*member, frame_);
        }
      }
    }
  }
  peer.pending.assign(bytes);
  if (!echoes_.empty()) {
    deliver(peer, echoes_);
    echoes_.clear();
  }
}

void Floor::end_of_turn() {
  for (Room* room : touched_) {
    for (Peer* member : room->members) {
      if (!member->spoke) {
        deliver(*member, room->batch);
      }
      member->spoke = false;
    }
    room->batch.clear();
  }
  touched_.clear();
}

void Floor::deliver(Peer& peer, std::string_view bytes) {
  if (peer.unsent.empty()) {
    const ssize_t sent = send(peer, bytes);
    if (sent == static_cast<ssize_t>(bytes.size())) {
      return;
    }
    bytes.remove_prefix(sent > 0 ? static_cast<std::size_t>(sent) : 0);
    watch(peer, EPOLLIN | EPOLLOUT);
  }
  peer.unsent += bytes;
}

void Floor::writable(Peer& peer) {
  const ssize_t sent = send(peer, peer.unsent);
  peer.unsent.erase(0, sent > 0 ? static_cast<std::size_t>(sent) : 0);
  if (peer.unsent.empty()) {
    watch(peer, EPOLLIN);
  }
}

void Floor::watch(Peer& peer, std::uint32_t events) {
  epoll_event event{events, {&peer}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, peer.fd, &event);
}

void Floor::leave(Peer& peer) {
  if (peer.room != nullptr) {
    auto& members = peer.room->members;
    members[peer.place] = members.back();
    members[peer.place]->place = peer.place;
    members.pop_back();
  }
  ::close(peer.fd);
  delete &peer;
}

}  // namespace jamsocket::bench

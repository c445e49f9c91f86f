#include "server/proxy_greeting.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "http/proxy_header.hpp"

namespace jamsocket::server {
namespace {
constexpr std::size_t kPeekBytes = 512;  // Most headers whole.
}  // namespace

ProxyGreeting::ProxyGreeting(std::uint64_t id, io::Socket socket, const io::PeerAddress& peer,
                             std::size_t header_bytes_max, GreetingHost& host)
    : id_(id), socket_(std::move(socket)), peer_(peer), header_bytes_max_(header_bytes_max), host_(host) {}

void ProxyGreeting::start(SteadyTime deadline) {
  until_ = deadline;
  host_.timers().schedule(deadline_, deadline);
  if (!host_.loop().add(socket_, EPOLLIN, *this)) {
    end("The event loop takes no more sockets.");
  }
}

io::Socket ProxyGreeting::take_socket() {
  deadline_.cancel();
  host_.loop().remove(socket_);
  return std::move(socket_);
}

void ProxyGreeting::on_ready(std::uint32_t) {
  if (!socket_.is_open()) {
    return;
  }
  // Looked at first and then taken: what follows the header is not ours.
  std::array<char, kPeekBytes> buffer;
  const io::IoResult seen = socket_.peek(buffer);
  if (seen.status == io::IoStatus::WouldBlock) {
    return;
  }
  if (seen.status != io::IoStatus::Done) {
    end("The connection ended before a PROXY header.");
    return;
  }
  const std::size_t before = header_.size();
  header_.append(buffer.data(), seen.bytes);
  const http::ProxyStep step = http::parse_proxy_header(header_, header_bytes_max_);
  if (step.status == http::ProxyStatus::Failure) {
    end(step.reason, step.is_too_long ? std::optional(Counter::LimitProxyHeader) : std::nullopt);
    return;
  }
  header_.resize(step.header_bytes);
  const std::span<char> taken = std::span(buffer).first(step.header_bytes - before);
  if (socket_.read(taken).bytes != taken.size()) {
    end("The connection ended within a PROXY header.");
  } else if (step.status == http::ProxyStatus::Done) {
    host_.greeted(*this, step.client);
  }
}

void ProxyGreeting::on_timer() { end("No PROXY header came in time.", Counter::HandshakeTimeouts); }

void ProxyGreeting::end(std::string_view reason, std::optional<Counter> limit) {
  deadline_.cancel();
  socket_.close();  // The event loop forgets it with that.
  host_.not_greeted(*this, reason, limit);
}

}  // namespace jamsocket::server

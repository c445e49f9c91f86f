#include "server/http_connection.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace jamsocket::server {
namespace {
constexpr std::size_t kFilePieceBytes = std::size_t{256} << 10U;
constexpr int kFilePiecesPerTurn = 4;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
}  // namespace

HttpConnection::HttpConnection(std::uint64_t id, io::Stream stream, session::Watched watched,
                               const io::PeerAddress& peer, session::Origin origin, HttpHost& host)
    : id_(id),
      host_(host),
      stream_(std::move(stream)),
      peer_(peer),
      origin_(std::move(origin)),
      parser_(host.http_settings().request),
      watched_events_(watched == session::Watched::Yes ? std::uint32_t{EPOLLONESHOT} : 0U) {}

HttpConnection::~HttpConnection() = default;

void HttpConnection::start(SteadyTime deadline, std::string unread) {
  host_.timers().schedule(deadline_, deadline);
  watch(EPOLLIN);
  unread_ = std::move(unread);
  process();
  notice_end();
}

bool HttpConnection::may_make_way() const {
  const bool is_at_work = parser_.is_in_body() && host_.may_take_long(parser_.request());
  return state_ == State::Lingering || (state_ == State::Reading && !is_at_work);
}

void HttpConnection::respond(StaticResponse response, Then then) {
  if (state_ != State::Answering) {
    return;
  }
  if (response.response.status >= 400) {
    host_.counters().add(Counter::HttpErrors);
  }
  then_ = keep_alive_wanted_ && !draining_ ? then : Then::Close;
  out_ = http::serialise_head(
      response.response, response.body_bytes,
      {.after = then_ == Then::KeepAlive ? http::AfterResponse::KeepAlive : http::AfterResponse::Close,
       .body = head_only_ ? http::SendBody::No : http::SendBody::Yes,
       .unix_ms = host_.unix_ms()});
  if (!head_only_) {
    out_ += response.response.body;
    file_ = std::move(response.file);
  }
  written_ = 0;
  state_ = State::Writing;
  write();
}

session::Upgraded HttpConnection::hand_over(std::string response, session::Watched watched) {
  JAM_CHECK(state_ == State::Answering);
  if (watched == session::Watched::No) {
    host_.loop().remove(stream_.socket());
  }
  state_ = State::Gone;
  deadline_.cancel();
  session::Upgraded upgraded{std::move(stream_), std::move(response), unread_.substr(unread_at_), watched, {}};
  host_.retire(*this);
  return upgraded;
}

void HttpConnection::drain() {
  draining_ = true;
  if (state_ == State::Reading) {
    drop();
  }
}

void HttpConnection::drop() {
  if (state_ == State::Gone) {
    return;
  }
  state_ = State::Gone;
  deadline_.cancel();
  stream_.close();  // The event loop forgets it with that.
  host_.retire(*this);
}

void HttpConnection::on_ready(std::uint32_t events) {
  if (state_ == State::Gone) {
    return;
  }
  if (state_ == State::Answering) {
    // Only asked for errors: the peer has reset the connection.
    drop();
    return;
  }
  if ((events & EPOLLIN) != 0) {
    read();
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    drop();
  } else if ((events & EPOLLOUT) != 0) {
    write();
  }
}

void HttpConnection::on_timer() {
  if (state_ == State::Reading) {
    host_.limit_hit(Counter::HandshakeTimeouts, *this);
  }
  if (state_ != State::Lingering) {  // There, the answer is whole and the kernel delivers it at the reader's pace.
    stream_.reset();
  }
  drop();
}

void HttpConnection::read() {
  const std::span<char> buffer = host_.receive_buffer();
  const io::IoResult got = stream_.read(buffer);
  if (got.status == io::IoStatus::WouldBlock) {
    return;
  }
  if (got.status != io::IoStatus::Done) {
    if (stream_.asked_too_often()) {
      host_.limit_hit(Counter::LimitKeyUpdates, *this);
    }
    drop();
    return;
  }
  if (state_ == State::Reading) {
    host_.counters().add(Counter::BytesIn, got.bytes);
    unread_.assign(buffer.data(), got.bytes);
    unread_at_ = 0;
    process();
  }
  notice_end();
}

// The peer has ended its side, and nobody will tell once more.
void HttpConnection::notice_end() {
  if (stream_.has_ended() && state_ == State::Reading) {
    drop();
  }
}

// Request after request, in a loop and not by recursion: a peer may pipeline thousands.
void HttpConnection::process() {
  if (processing_) {
    return;
  }
  processing_ = true;
  while (state_ == State::Reading && unread_at_ < unread_.size()) {
    const http::ParseStep step = parser_.feed(std::string_view(unread_).substr(unread_at_));
    unread_at_ += step.consumed_bytes;
    if (step.status == http::ParseStatus::NeedMore) {
      unread_at_ = unread_.size();
      go_on_with_body();
    } else if (step.status == http::ParseStatus::Failure) {
      refuse(step);
    } else {
      handle_request();
    }
  }
  processing_ = false;
  if (unread_at_ == unread_.size()) {
    unread_ = std::string();  // Not `{}`, which keeps the memory: nothing more may come for long.
    unread_at_ = 0;
  }
}

void HttpConnection::go_on_with_body() {
  if (!parser_.is_in_body()) {
    return;
  }
  // Nothing of ours waits to be sent meanwhile: where the socket does not take so little, nobody reads.
  if (parser_.take_expectation() && stream_.write(kContinue).bytes != kContinue.size()) {
    drop();
    return;
  }
  if (host_.may_take_long(parser_.request())) {
    set_deadline(host_.http_settings().request_timeout);
  }
}

void HttpConnection::handle_request() {
  host_.counters().add(Counter::HttpRequests);
  const http::Request& request = parser_.request();
  keep_alive_wanted_ = request.keep_alive;
  head_only_ = request.method == http::Method::Head;
  state_ = State::Answering;
  deadline_.cancel();
  host_.route(*this, request);
  if (state_ == State::Answering) {
    watch(EPOLLERR);  // Always reported; asking for nothing else leaves pipelined bytes in the socket.
  }
}

void HttpConnection::refuse(const http::ParseStep& step) {
  host_.counters().add(Counter::HttpRequests);
  state_ = State::Answering;
  head_only_ = parser_.request().method == http::Method::Head;
  if (step.limit) {
    host_.limit_hit(*step.limit, *this);
  }
  respond(whole_response(host_.refusal(step.http_status, step.reason)), Then::Close);
}

void HttpConnection::write() {
  // A big file goes out in pieces, a bounded number a turn: rooms go on meanwhile.
  for (int piece = 0; piece < kFilePiecesPerTurn; ++piece) {
    const io::IoResult result = stream_.write(std::string_view(out_).substr(written_));
    if (result.status == io::IoStatus::Failed) {
      drop();
      return;
    }
    host_.counters().add(Counter::BytesOut, result.bytes);
    written_ += result.bytes;
    if (written_ < out_.size()) {
      break;
    }
    if (!file_) {
      out_ = std::string();
      answered();
      return;
    }
    if (!read_more_of_file()) {
      drop();
      return;
    }
  }
  set_deadline(host_.http_settings().request_timeout);
  watch(EPOLLOUT);
}

// Fills `out_` with the file's next piece. False: the file is shorter than was promised.
bool HttpConnection::read_more_of_file() {
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(file_->bytes, kFilePieceBytes));
  out_.resize(wanted);
  const ssize_t got = ::pread(file_->file.fd(), out_.data(), wanted, static_cast<off_t>(file_->offset));
  if (got <= 0) {
    return wanted == 0;
  }
  out_.resize(static_cast<std::size_t>(got));
  written_ = 0;
  file_->offset += static_cast<std::uint64_t>(got);
  file_->bytes -= static_cast<std::uint64_t>(got);
  if (file_->bytes == 0) {
    file_.reset();
  }
  return true;
}

void HttpConnection::answered() {
  if (then_ == Then::Close || stream_.has_ended()) {
    // Closed right away, unread bytes would make the kernel send a reset, which can overtake the answer.
    state_ = State::Lingering;
    stream_.shut_down_writing();
    set_deadline(host_.http_settings().linger_timeout);
    watch(EPOLLIN);
    return;
  }
  state_ = State::Reading;
  parser_.reset();
  set_deadline(host_.http_settings().request_timeout);
  watch(EPOLLIN);
  process();
}

void HttpConnection::watch(std::uint32_t events) {
  if (events == watched_events_) {
    return;
  }
  if (watched_events_ != 0) {
    host_.loop().change(stream_.socket(), events, *this);
  } else if (!host_.loop().add(stream_.socket(), events, *this)) {
    set_deadline(Milliseconds{0});
    return;
  }
  watched_events_ = events;
}

void HttpConnection::set_deadline(Milliseconds from_now) {
  host_.timers().schedule(deadline_, host_.steady_now() + from_now);
}

}  // namespace jamsocket::server

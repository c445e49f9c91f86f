#include "server/admin_listener.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "http/target.hpp"
#include "io/socket.hpp"

namespace jamsocket::server {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kReceiveBytes = std::size_t{16} << 10U;
constexpr std::size_t kConnectionsMax = 64;
constexpr std::size_t kTokenBytesMin = 16;
constexpr std::size_t kTokenBytesMax = 4096;  // Half of what the headers of a request may have.
constexpr std::size_t kBodyBytesMax = std::size_t{64} << 10U;
constexpr std::string_view kAnyQuery = "*";

// "127.0.0.1:9090", "[::1]" and "localhost": what a page that has its name resolve to our address cannot send.
bool is_address_or_localhost(std::string_view authority) {
  const std::string_view host = authority.starts_with('[') ? authority : authority.substr(0, authority.find(':'));
  const bool numeric =
      host.starts_with('[') || std::ranges::all_of(host, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  return numeric || http::equal_ignoring_case(host, "localhost");
}

// The segments of `path` that stand for {names}; nullopt: it is another path.
std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view path) {
  std::vector<std::string> names;
  while (!pattern.empty() || !path.empty()) {
    const std::string_view wanted = pattern.substr(0, pattern.find('/', 1));
    const std::string_view segment = path.substr(0, path.find('/', 1));
    if (wanted.starts_with("/{")) {
      auto name = segment.empty() ? Result<std::string>(std::string()) : http::decode_room_id(segment.substr(1), 1024);
      if (!name || name->empty()) {
        return std::nullopt;
      }
      names.push_back(*std::move(name));
    } else if (wanted != segment) {
      return std::nullopt;
    }
    pattern.remove_prefix(wanted.size());
    path.remove_prefix(segment.size());
  }
  return names;
}

std::string_view method_name(http::Method method) {
  switch (method) {
    case http::Method::Get:
      return "GET, HEAD";
    case http::Method::Post:
      return "POST";
    case http::Method::Put:
      return "PUT";
    case http::Method::Delete:
      return "DELETE";
    default:
      return "OTHER";
  }
}

}  // namespace

Result<std::string> read_admin_token(const std::string& path) {
  if (path.empty()) {
    return std::string();
  }
  std::ifstream file(path);
  std::array<char, kTokenBytesMax + 2> line{};
  if (!file || (!file.getline(line.data(), line.size()) && file.bad())) {
    return fail(ErrorCode::Io, io::errno_message("admin.token_file cannot be read: " + escape_for_log(path, 300)));
  }
  const bool is_whole = !file.fail() || file.eof();
  std::string token(line.data(), static_cast<std::size_t>(file.gcount()));
  while (!token.empty() && std::string_view("\r \t\0", 4).contains(token.back())) {
    token.pop_back();  // The last one is what ended the line.
  }
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == '\x7F'; };
  const bool can_be_sent = is_whole && token.size() <= kTokenBytesMax && !token.starts_with(' ') &&
                           !token.starts_with("\xEF\xBB\xBF") && std::ranges::none_of(token, is_control);
  if (token.size() < kTokenBytesMin || !can_be_sent) {
    const std::string_view wrong = can_be_sent ? "is too short for a token" : "is no token that a header could bring";
    return fail(ErrorCode::InvalidArgument,
                fmt::format("the first line of admin.token_file {}; allowed: {} to {} characters, without control "
                            "characters, a space or a byte order mark before them: {}",
                            wrong, kTokenBytesMin, kTokenBytesMax, escape_for_log(path, 300)));
  }
  return token;
}

http::Response json_response(int status, std::string body) {
  http::Response response{.status = status, .headers = {}, .body = std::move(body)};
  response.body += '\n';
  response.add("Content-Type", "application/json");
  response.add("Cache-Control", "no-store");
  return response;
}

http::Response error_response(int status, std::string_view sentence) {
  return json_response(status, nlohmann::json{{"error", sentence}}.dump());
}

void AdminReply::send(http::Response response) const {
  listener_->post([call = call_, response = std::move(response)](AdminListener& self) { self.answer(call, response); });
}

Result<std::unique_ptr<AdminListener>> AdminListener::open(const AdminSettings& settings, Logger& logger,
                                                           const Clock& clock) {
  std::string token = JAM_TRY(read_admin_token(settings.token_file));
  auto listener = JAM_TRY(io::Listener::open(settings.host, settings.port));
  auto loop = JAM_TRY(io::EventLoop::create());
  return std::unique_ptr<AdminListener>(
      new AdminListener(std::move(listener), std::move(loop), settings.token_file, std::move(token), logger, clock));
}

Result<void> AdminListener::reload() {
  std::string token = JAM_TRY(read_admin_token(token_file_));
  post([token = std::move(token)](AdminListener& self) mutable { self.token_ = std::move(token); });
  return {};
}

AdminListener::AdminListener(io::Listener listener, std::unique_ptr<io::EventLoop> loop, std::string token_file,
                             std::string token, Logger& logger, const Clock& clock)
    : listener_(std::move(listener)),
      loop_(std::move(loop)),
      token_file_(std::move(token_file)),
      token_(std::move(token)),
      logger_(logger),
      clock_(clock),
      receive_buffer_(kReceiveBytes),
      now_(clock.steady()) {
  http_.request.body = http::RequestLimits::Body::Keep;
  http_.request.body_bytes_max = kBodyBytesMax;
  http_.request.body_bytes_max_for = [this](const http::Request& request) { return body_bytes_max_for(request); };
}

AdminListener::~AdminListener() { stop(); }

void AdminListener::start(std::vector<AdminRoute> routes) {
  routes_ = std::move(routes);
  thread_ = std::thread([this] { run(); });
}

void AdminListener::stop() {
  if (thread_.joinable()) {
    post([](AdminListener& self) { self.ending_ = true; });
    thread_.join();
  }
}

void AdminListener::post(Task task) {
  tasks_.push(std::move(task));
  loop_->wake();
}

void AdminListener::run() {
  acceptor_ = std::make_unique<Acceptor>(listener_, *this);
  while (!ending_) {
    std::optional<std::chrono::nanoseconds> wait;
    if (const auto deadline = timers_.next_deadline()) {
      wait = std::max<std::chrono::nanoseconds>(*deadline - clock_.steady(), 0ns);
    }
    const auto ready = loop_->wait(wait);
    now_ = clock_.steady();
    tasks_.run_all([this](Task& task) { task(*this); });
    for (const epoll_event& event : ready) {
      static_cast<io::EventHandler*>(event.data.ptr)->on_ready(event.events);
    }
    timers_.run_due(now_);
    retired_.clear();
    answered_.clear();
  }
  acceptor_.reset();
  while (!connections_.empty()) {
    connections_.begin()->second->drop();
  }
  retired_.clear();
  waiting_.clear();
}

// Whoever has asked nothing, or has had the answer, makes way: else connections that say nothing, which anybody can
// make who reaches the address, would keep /health from answering.
bool AdminListener::make_room() {
  HttpConnection* oldest = nullptr;
  for (const auto& [id, connection] : connections_) {
    if (connection->may_make_way() && (oldest == nullptr || id < oldest->id())) {
      oldest = connection.get();
    }
  }
  if (oldest != nullptr) {
    oldest->drop();
  }
  return oldest != nullptr;
}

void AdminListener::accepted(io::Socket socket, const io::PeerAddress& peer) {
  if (connections_.size() >= kConnectionsMax) {
    counters_.add(Counter::ConnectionsRefused);
    if (!make_room()) {
      return;
    }
  }
  const std::uint64_t id = ++last_connection_;
  HttpConnection& made =
      *connections_
           .emplace(id, std::make_unique<HttpConnection>(id, io::Stream(std::move(socket)), session::Watched::No, peer,
                                                         session::Origin{.address = peer.ip(), .place = {}}, *this))
           .first->second;
  made.start(now_ + http_.request_timeout);
}

void AdminListener::retire(HttpConnection& connection) {
  const auto found = connections_.find(connection.id());
  retired_.push_back(std::move(found->second));
  connections_.erase(found);
}

bool AdminListener::has_token(const http::Request& request) const {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view given = request.header("Authorization").value_or("");
  if (request.header_count("Authorization") != 1 || given.size() <= kScheme.size() ||
      !http::equal_ignoring_case(given.substr(0, kScheme.size()), kScheme)) {
    return false;
  }
  const std::string_view token = given.substr(kScheme.size());
  const auto is = [token](const std::string& right) {
    return !right.empty() && token.size() == right.size() &&
           ::CRYPTO_memcmp(token.data(), right.data(), right.size()) == 0;
  };
  return is(token_) || is(own_token_);
}

// Nobody has much of our memory who may not ask for anything.
std::size_t AdminListener::body_bytes_max_for(const http::Request& request) const {
  for (const AdminRoute& known : routes_) {
    const bool is_it = known.body_bytes_max != 0 && known.method == request.method && match(known.path, request.path);
    if (is_it && (token_.empty() || has_token(request))) {
      return known.body_bytes_max;
    }
  }
  return kBodyBytesMax;
}

http::Response AdminListener::refusal(int status, std::string_view reason) const {
  return error_response(status, reason);
}

bool AdminListener::may_take_long(const http::Request& request) const {
  return body_bytes_max_for(request) > kBodyBytesMax;
}

void AdminListener::route(HttpConnection& connection, const http::Request& request) {
  const auto respond = [&connection](http::Response response) {
    connection.respond(whole_response(std::move(response)));
  };
  if (request.header("Origin") || (token_.empty() && !is_address_or_localhost(request.authority))) {
    return respond(error_response(403,
                                  "This address is for operators: not for pages in a browser, and by the "
                                  "machine's address, not by a name."));
  }
  // The connection leaves the body out.
  const http::Method method = request.method == http::Method::Head ? http::Method::Get : request.method;
  std::string allowed;
  for (const AdminRoute& known : routes_) {
    auto names = match(known.path, request.path);
    if (!names) {
      continue;
    }
    if (known.method != method) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(method_name(known.method));
      continue;
    }
    if (known.access == AdminRoute::Access::Token && !token_.empty() && !has_token(request)) {
      if (refusals_.may_say(now_)) {
        logger_.warn("admin.refused",
                     {{"remote_address", connection.peer().text()}, {"reason", "no token, or a wrong one"}});
      }
      http::Response response = error_response(401, "Send the token: \"Authorization: Bearer TOKEN\".");
      response.add("WWW-Authenticate", "Bearer");
      return respond(std::move(response));
    }
    return begin_call(connection, request, known, *std::move(names));
  }
  if (allowed.empty()) {
    return respond(error_response(404, "There is nothing at this path; the routes are in docs/admin.md."));
  }
  http::Response response = error_response(405, "This path allows " + allowed + " only.");
  response.add("Allow", allowed);
  respond(std::move(response));
}

void AdminListener::begin_call(HttpConnection& connection, const http::Request& request, const AdminRoute& route,
                               std::vector<std::string> names) {
  auto query = AdminQuery::parse(route.query == kAnyQuery ? "" : std::string_view(request.query), route.query);
  if (!query) {
    return connection.respond(whole_response(error_response(400, query.error().message)));
  }
  const std::uint64_t call = ++last_call_;
  Waiting& waiting = waiting_[call];
  waiting.connection = connection.id();
  waiting.deadline = std::make_unique<io::CallbackTimer>([this, call] {
    answer(call, error_response(503, "The event loops did not answer in time; they are stopping, or stuck."));
  });
  timers_.schedule(waiting.deadline->node(), now_ + route.answer_timeout);
  route.handle({.request = request,
                .names = std::move(names),
                .query = *std::move(query),
                .reply = AdminReply(*this, call),
                .peer = connection.peer().text()});
}

void AdminListener::log_service_refused(std::string_view peer, std::string_view service, std::string_view reason) {
  if (service_refusals_.may_say(now_)) {
    logger_.warn(
        "admin.service_refused",
        {{"remote_address", peer}, {"service", escape_for_log(service, 80)}, {"reason", escape_for_log(reason, 300)}});
  }
}

void AdminListener::answer(std::uint64_t call, const http::Response& response) {
  const auto found = waiting_.find(call);
  if (found == waiting_.end()) {
    return;
  }
  const std::uint64_t connection = found->second.connection;
  found->second.deadline->node().cancel();
  answered_.push_back(std::move(found->second));
  waiting_.erase(found);
  if (const auto open = connections_.find(connection); open != connections_.end()) {
    open->second->respond(whole_response(response));
  }
}

}  // namespace jamsocket::server

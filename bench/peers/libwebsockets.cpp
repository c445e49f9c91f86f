// peers/libwebsockets.cpp
//
// The measured services on libwebsockets, as its minimal examples are written: one service thread, a
// queue a session, one lws_write for each writeable callback.
//
//   peer_libwebsockets echo|fanout PORT

#include <libwebsockets.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

enum class Service : std::uint8_t { Echo, Fanout };

/// A message behind the room that libwebsockets wants in front of it for the frame's head.
struct Message {
  std::vector<unsigned char> padded;
  bool text = false;
  [[nodiscard]] std::size_t size() const { return padded.size() - LWS_PRE; }
};

struct Session {
  lws* wsi = nullptr;
  std::string path;
  std::vector<unsigned char> incoming;
  std::deque<std::shared_ptr<Message>> queue;
};

struct Server {
  Service service = Service::Echo;
  std::map<std::string, std::set<Session*>> rooms;
};

void push(Session& session, const std::shared_ptr<Message>& message) {
  session.queue.push_back(message);
  lws_callback_on_writable(session.wsi);
}

void on_open(Server& server, Session& session, lws* wsi) {
  session.wsi = wsi;
  std::array<char, 512> path{};
  lws_hdr_copy(wsi, path.data(), static_cast<int>(path.size()), WSI_TOKEN_GET_URI);
  session.path = path.data();
  server.rooms[session.path].insert(&session);
}

void on_close(Server& server, Session& session) {
  const auto room = server.rooms.find(session.path);
  if (room != server.rooms.end()) {
    room->second.erase(&session);
    if (room->second.empty()) {
      server.rooms.erase(room);
    }
  }
}

void on_bytes(Server& server, Session& session, const unsigned char* bytes, std::size_t size) {
  if (session.incoming.empty()) {
    session.incoming.resize(LWS_PRE);
  }
  session.incoming.insert(session.incoming.end(), bytes, bytes + size);
  if (lws_is_final_fragment(session.wsi) == 0 || lws_remaining_packet_payload(session.wsi) != 0) {
    return;
  }
  auto message = std::make_shared<Message>();
  message->padded.swap(session.incoming);
  message->text = lws_frame_is_binary(session.wsi) == 0;
  if (server.service == Service::Echo) {
    push(session, message);
    return;
  }
  for (Session* member : server.rooms[session.path]) {
    if (member != &session) {
      push(*member, message);
    }
  }
}

int on_writable(Session& session) {
  if (session.queue.empty()) {
    return 0;
  }
  const auto message = session.queue.front();
  session.queue.pop_front();
  const int written = lws_write(session.wsi, message->padded.data() + LWS_PRE, message->size(),
                                message->text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY);
  if (!session.queue.empty()) {
    lws_callback_on_writable(session.wsi);
  }
  return written < static_cast<int>(message->size()) ? -1 : 0;
}

int callback(lws* wsi, lws_callback_reasons reason, void* user, void* in, std::size_t size) {
  auto& server = *static_cast<Server*>(lws_context_user(lws_get_context(wsi)));
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
      on_open(server, *new (user) Session, wsi);
      break;
    case LWS_CALLBACK_CLOSED:
      on_close(server, *static_cast<Session*>(user));
      static_cast<Session*>(user)->~Session();
      break;
    case LWS_CALLBACK_RECEIVE:
      on_bytes(server, *static_cast<Session*>(user), static_cast<const unsigned char*>(in), size);
      break;
    case LWS_CALLBACK_SERVER_WRITEABLE:
      return on_writable(*static_cast<Session*>(user));
    default:
      break;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view service = argc == 3 ? argv[1] : "";
  if (service != "echo" && service != "fanout") {
    std::fprintf(stderr, "usage: peer_libwebsockets echo|fanout PORT\n");
    return 2;
  }
  lws_set_log_level(LLL_ERR, nullptr);
  Server server;
  server.service = service == "echo" ? Service::Echo : Service::Fanout;
  const std::array<lws_protocols, 2> protocols{lws_protocols{"bench", callback, sizeof(Session), 65536, 0, nullptr, 0},
                                               lws_protocols{}};
  lws_context_creation_info info{};
  info.port = static_cast<int>(std::strtol(argv[2], nullptr, 10));
  info.iface = "lo";
  info.protocols = protocols.data();
  info.user = &server;
  info.gid = -1;
  info.uid = -1;
  lws_context* context = lws_create_context(&info);
  if (context == nullptr) {
    std::fprintf(stderr, "peer_libwebsockets: cannot listen on port %s\n", argv[2]);
    return 1;
  }
  while (lws_service(context, 0) >= 0) {
  }
  lws_context_destroy(context);
  return 0;
}

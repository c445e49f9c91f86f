// peers/beast.cpp
//
// The measured services on Boost.Beast, as its asynchronous examples are written: one io_context, one
// thread, a queue of shared messages a session, one write at a time.
//
//   peer_beast echo|fanout PORT

#include <sys/resource.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;

enum class Service : std::uint8_t { Echo, Fanout };

struct Message {
  std::string bytes;
  bool text = false;
};

class Session;
using Rooms = std::map<std::string, std::set<Session*>>;

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, Service service, Rooms& rooms)
      : socket_(std::move(socket)), service_(service), rooms_(rooms) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  ~Session() {
    const auto room = rooms_.find(path_);
    if (room != rooms_.end()) {
      room->second.erase(this);
      if (room->second.empty()) {
        rooms_.erase(room);
      }
    }
  }

  void start() {
    beast::http::async_read(socket_.next_layer(), input_, request_,
                            [self = shared_from_this()](beast::error_code error, std::size_t) {
                              if (!error) {
                                self->upgrade();
                              }
                            });
  }

  void send(std::shared_ptr<const Message> message) {
    queue_.push_back(std::move(message));
    if (queue_.size() == 1) {
      write();
    }
  }

 private:
  void upgrade() {
    path_ = std::string(request_.target());
    socket_.auto_fragment(false);  // The load client takes whole messages only.
    socket_.async_accept(request_, [self = shared_from_this()](beast::error_code error) {
      if (!error) {
        self->request_ = {};
        self->rooms_[self->path_].insert(self.get());
        self->read();
      }
    });
  }

  void read() {
    socket_.async_read(input_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error) {
        self->on_message();
        self->read();
      }
    });
  }

  void on_message() {
    auto message =
        std::make_shared<const Message>(Message{beast::buffers_to_string(input_.data()), socket_.got_text()});
    input_.consume(input_.size());
    if (service_ == Service::Echo) {
      send(std::move(message));
      return;
    }
    for (Session* member : rooms_[path_]) {
      if (member != this) {
        member->send(message);
      }
    }
  }

  void write() {
    socket_.text(queue_.front()->text);
    socket_.async_write(asio::buffer(queue_.front()->bytes),
                        [self = shared_from_this()](beast::error_code error, std::size_t) {
                          if (error) {
                            return;
                          }
                          self->queue_.pop_front();
                          if (!self->queue_.empty()) {
                            self->write();
                          }
                        });
  }

  websocket::stream<tcp::socket> socket_;
  Service service_;
  Rooms& rooms_;
  std::string path_;
  beast::flat_buffer input_;
  beast::http::request<beast::http::string_body> request_;
  std::deque<std::shared_ptr<const Message>> queue_;
};

class Listener {
 public:
  Listener(asio::io_context& context, std::uint16_t port, Service service)
      : acceptor_(context, {asio::ip::address_v4::loopback(), port}), service_(service) {
    accept();
  }

 private:
  void accept() {
    acceptor_.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (!error) {
        socket.set_option(tcp::no_delay(true));
        std::make_shared<Session>(std::move(socket), service_, rooms_)->start();
      }
      accept();
    });
  }

  tcp::acceptor acceptor_;
  Service service_;
  Rooms rooms_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view service = argc == 3 ? argv[1] : "";
  if (service != "echo" && service != "fanout") {
    std::fprintf(stderr, "usage: peer_beast echo|fanout PORT\n");
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::strtoul(argv[2], nullptr, 10));
  asio::io_context context(1);
  const Listener listener(context, port, service == "echo" ? Service::Echo : Service::Fanout);
  context.run();
}

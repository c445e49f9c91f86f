// A native server in a program of its own: started on any port, asked for its status, stopped. With a certificate and
// its key as arguments: the same over TLS, asked by openssl.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <jamsocket/server.hpp>

namespace {

class Echo {
 public:
  Echo(std::string_view /*room_id*/, jamsocket::Context& /*context*/) {}
  void message(jamsocket::ClientId client, std::string_view text, jamsocket::Context& context) {
    context.send_message(client, text);
  }
};

// The whole answer to a request; empty: nobody there.
std::string answer_to(std::uint16_t port, const std::string& request) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr generic{};
  std::memcpy(&generic, &address, sizeof(address));
  std::string answer;
  if (connect(fd, &generic, sizeof(generic)) == 0 &&
      write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
    std::array<char, 4096> buffer{};
    for (ssize_t count = read(fd, buffer.data(), buffer.size()); count > 0;
         count = read(fd, buffer.data(), buffer.size())) {
      answer.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }
  close(fd);
  return answer;
}

int complain(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  return 1;
}

// Somebody else's client, which trusts this certificate alone.
int serve_over_tls(const char* certificate, const char* key) {
  jamsocket::ServerOptions options;
  options.port = 0;
  options.log_level = "warn";
  options.tls_cert = certificate;
  options.tls_key = key;
  jamsocket::Server server = jamsocket::Server::of<Echo>(options);
  if (const auto started = server.start(); !started) {
    return complain("not started with a certificate: " + started.error());
  }
  const std::string command =
      "printf 'GET /status HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' | "
      "openssl s_client -quiet -verify_return_error -CAfile '" +
      std::string(certificate) + "' -connect 127.0.0.1:" + std::to_string(server.port()) + " 2>/dev/null | grep -qx ok";
  const int answered = std::system(command.c_str());
  server.stop();
  if (answered != 0) {
    return complain("no status over TLS");
  }
  std::puts("the installed server works over TLS");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) {
    return serve_over_tls(argv[1], argv[2]);
  }
  jamsocket::ServerOptions options;
  options.port = 0;
  options.log_level = "warn";
  jamsocket::Server server = jamsocket::Server::of<Echo>(options);
  if (server.port() != 0) {
    return complain("a server that was not started has a port");
  }
  if (const auto started = server.start(); !started) {
    return complain("not started: " + started.error());
  }
  const std::string answer =
      answer_to(server.port(), "GET /status HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 200 ") || !answer.ends_with("\r\n\r\nok")) {
    return complain("not the status that was expected: " + answer);
  }
  if (server.start().has_value()) {
    return complain("started twice");
  }

  // A second server on the same port is refused in words.
  options.port = server.port();
  jamsocket::Server second = jamsocket::Server::of<Echo>(options);
  const auto refused = second.start();
  if (refused || refused.error().find(std::to_string(server.port())) == std::string::npos) {
    return complain("the second server was not told which port is taken");
  }
  // And so is a limit with which no room would ever run.
  options.port = 0;
  options.limits.room_in_flight_events_max = 0;
  const auto limited = jamsocket::Server::of<Echo>(options).start();
  if (limited || limited.error() != "limits.room_in_flight_events_max is 0; allowed: 1 to 10000000, a whole number") {
    return complain("a limit of 0 was not refused: " + (limited ? std::string("it started") : limited.error()));
  }
  const std::uint16_t port = server.port();
  server.stop();
  server.stop();
  if (!answer_to(port, "GET /status HTTP/1.0\r\n\r\n").empty()) {
    return complain("it answers after stop()");
  }
  std::puts("the installed server works");
  return 0;
}

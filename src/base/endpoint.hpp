// base/endpoint.hpp
//
// Where a server listens, as a configuration says it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jamsocket {

/// A host and port, or the path of a unix-domain socket.
struct Endpoint {
  std::string host{};      ///< Without brackets; empty for a unix-domain socket.
  std::uint16_t port = 0;  ///< 0: any free one.
  std::string path{};      ///< Of a unix-domain socket; else empty.

  /// The kernel's limit for paths of unix-domain sockets.
  static constexpr std::size_t kPathBytesMax = 107;

  /// "127.0.0.1:8080", "localhost:0", "[::]:8080", "unix:/run/jamsocket.sock"; nullopt: it is nothing of the kind.
  [[nodiscard]] static std::optional<Endpoint> parse(std::string_view text);
  /// As `parse` takes it.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool is_unix() const { return !path.empty(); }

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

}  // namespace jamsocket

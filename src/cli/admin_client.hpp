// cli/admin_client.hpp
//
// Asks a running server's second listener, found by the data directory that the server uses.

#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "server/admin_note.hpp"

namespace jamsocket::cli {

class AdminClient {
 public:
  /// @error NotFound, Io  the server there says nowhere how it is reached, or is not.
  [[nodiscard]] static Result<AdminClient> of_directory(const std::filesystem::path& directory);

  /// The body of the answer, if its status is 200. One connection a request; waits for a minute at most for each step.
  /// @param target  path and query, percent-encoded: see `encode`.
  /// @error Io, NotFound, AlreadyExists, LimitReached, InvalidArgument  with the server's sentence.
  [[nodiscard]] Result<std::string> ask(std::string_view method, std::string_view target,
                                        std::string_view body = {}) const;

 private:
  explicit AdminClient(server::AdminNote note) : note_(std::move(note)) {}
  server::AdminNote note_;
};

/// Percent-encoded, as one segment of a path or a value of a query.
[[nodiscard]] std::string encode(std::string_view text);

}  // namespace jamsocket::cli

// server/admin_note.hpp
//
// Where a running server's second listener is, written into its data directory for the commands that find the
// directory in use. Only who may read the rooms may read it.

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace jamsocket::server {

struct AdminNote {
  std::string host;  ///< An address that reaches it from this machine.
  std::uint16_t port = 0;
  std::string token;  ///< What to send; empty: nothing. Of this process, and gone with it.
};

/// 32 random bytes in hexadecimal.
[[nodiscard]] std::string random_token();
/// Writes it whole or not at all, for its owner's eyes only. @error Io
[[nodiscard]] Result<void> write_admin_note(const std::filesystem::path& directory, const AdminNote& note);
/// @error NotFound, Malformed  there is none: the server there has no second listener.
[[nodiscard]] Result<AdminNote> read_admin_note(const std::filesystem::path& directory);
void remove_admin_note(const std::filesystem::path& directory);

}  // namespace jamsocket::server

// cli/data_folder.hpp
//
// The folder of kept rooms, opened by a command while no server has it.

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "store/database.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace jamsocket::cli {

enum class DataUse : std::uint8_t {
  Alone,          ///< While no server uses the folder.
  AlsoOfServers,  ///< Or by asking the one that does.
};

/// Adds --data DIR to a command.
void add_data_option(CLI::App& app, std::string& folder, DataUse use = DataUse::Alone);

/// Adds --to EVENT to a command.
CLI::Option* add_event_option(CLI::App& app, std::uint64_t& event, const std::string& help);

using Mend = store::DatabaseOptions::Mend;
enum class IfMissing : std::uint8_t { Refuse, Make };

/// @param wait  for another process to let go of it
/// @error NotFound, LimitReached, ...  nothing is kept there, or a server is using it.
[[nodiscard]] Result<std::unique_ptr<store::Database>> open_data(const std::string& folder,
                                                                 IfMissing if_missing = IfMissing::Refuse,
                                                                 std::chrono::milliseconds wait = {},
                                                                 Mend mend = Mend::No);

/// A whole file. @error Io, TooLarge (over 8 GiB)
[[nodiscard]] Result<std::string> read_whole_file(const std::string& path);
/// Makes `path`, which must not exist, with these bytes; it is on disk when this returns.
[[nodiscard]] Result<void> write_new_file(const std::string& path, std::string_view bytes);

}  // namespace jamsocket::cli

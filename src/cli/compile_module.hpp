// cli/compile_module.hpp
//
// The helper's side of compile_helper.hpp: what it is called with and how it ends.

#pragma once

#include <optional>
#include <string_view>

namespace jamsocket::cli {

/// Then: the engine's memory and stack in bytes, CPU seconds, bytes of address space.
inline constexpr std::string_view kCompileModule = "compile-module";

// Exit codes besides 0; a sentence is on standard error.
inline constexpr int kCompileNotValid = 3;
inline constexpr int kCompileNoMemory = 4;

/// Does what the words say if they are the helper's; it knows no other command and no setting.
/// @return its exit code, or nothing: the words are for somebody else.
[[nodiscard]] std::optional<int> compile_module_if_asked(int argument_count, const char* const* arguments);

}  // namespace jamsocket::cli

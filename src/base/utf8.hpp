// base/utf8.hpp
//
// Whether text is text. For text that arrives in pieces: ws/utf8.hpp.

#pragma once

#include <string_view>

namespace jamsocket {

/// Whether the whole of `text` is UTF-8: shortest forms only, no surrogates, at most U+10FFFF.
/// @source RFC 3629 section 4
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace jamsocket

// http/content_type.hpp
//
// What a file is, by the ending of its name.

#pragma once

#include <string_view>

namespace jamsocket::http {

/// The value for Content-Type; "application/octet-stream" for an ending that is not known.
/// Text types say that they are UTF-8. Endings are matched whatever their case.
[[nodiscard]] std::string_view content_type_of(std::string_view path);

}  // namespace jamsocket::http

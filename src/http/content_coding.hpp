// http/content_coding.hpp
//
// Which compressed form of a file a client wants.

#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "http/request.hpp"

namespace jamsocket::http {

/// The one of `available` ("br", "gzip") that the client wants most by Accept-Encoding, the first of equals; empty: the
/// plain form. That goes before a coding only where it is named ("identity") with a higher weight; it is also the
/// answer where all is refused.
/// @source RFC 9110 sections 8.4.1, 12.4.2 and 12.5.3
[[nodiscard]] std::string_view preferred_coding(const Request& request, std::span<const std::string_view> available);

}  // namespace jamsocket::http

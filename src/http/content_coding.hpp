// http/content_coding.hpp
//
// Which compressed form of a file a client takes.

#pragma once

#include <cstdint>
#include <string_view>

#include "http/request.hpp"

namespace jamsocket::http {

/// Whether `coding` ("br", "gzip") is acceptable: named in Accept-Encoding, or covered by "*", and its weight
/// is not 0. Without the header nothing but the plain form is.
/// @source RFC 9110 section 12.5.3
[[nodiscard]] bool accepts_coding(const Request& request, std::string_view coding);

}  // namespace jamsocket::http

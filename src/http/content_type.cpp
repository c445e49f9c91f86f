#include "http/content_type.hpp"

#include <algorithm>

#include "http/request.hpp"

namespace jamsocket::http {

std::string_view content_type_of(std::string_view path) {
  struct Known {
    std::string_view ending;
    std::string_view type;
  };
  constexpr Known kKnown[] = {
      {"html", "text/html; charset=utf-8"},
      {"htm", "text/html; charset=utf-8"},
      {"css", "text/css; charset=utf-8"},
      {"js", "text/javascript; charset=utf-8"},
      {"mjs", "text/javascript; charset=utf-8"},
      {"json", "application/json"},
      {"map", "application/json"},
      {"webmanifest", "application/manifest+json"},
      {"txt", "text/plain; charset=utf-8"},
      {"md", "text/markdown; charset=utf-8"},
      {"csv", "text/csv; charset=utf-8"},
      {"xml", "application/xml"},
      {"wasm", "application/wasm"},
      {"svg", "image/svg+xml"},
      {"png", "image/png"},
      {"jpg", "image/jpeg"},
      {"jpeg", "image/jpeg"},
      {"gif", "image/gif"},
      {"webp", "image/webp"},
      {"avif", "image/avif"},
      {"ico", "image/vnd.microsoft.icon"},
      {"woff", "font/woff"},
      {"woff2", "font/woff2"},
      {"ttf", "font/ttf"},
      {"otf", "font/otf"},
      {"mp3", "audio/mpeg"},
      {"ogg", "audio/ogg"},
      {"wav", "audio/wav"},
      {"mp4", "video/mp4"},
      {"webm", "video/webm"},
      {"pdf", "application/pdf"},
      {"zip", "application/zip"},
  };
  const auto name_begin = path.find_last_of('/');
  const std::string_view name = name_begin == std::string_view::npos ? path : path.substr(name_begin + 1);
  const auto dot = name.find_last_of('.');
  if (dot == std::string_view::npos) {
    return "application/octet-stream";
  }
  const std::string_view ending = name.substr(dot + 1);
  const auto* found =
      std::ranges::find_if(kKnown, [ending](const Known& known) { return equal_ignoring_case(known.ending, ending); });
  return found == std::end(kKnown) ? "application/octet-stream" : found->type;
}

}  // namespace jamsocket::http

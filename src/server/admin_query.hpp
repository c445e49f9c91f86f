// server/admin_query.hpp
//
// What stands behind the "?" of an operator's request. Nothing of it is passed over: whoever mistypes "service" would
// end another service's room.

#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace jamsocket::server {

class AdminQuery {
 public:
  /// @param query    as it came, like "limit=5&prefix=a%20b"
  /// @param allowed  names that may be in it, each once, with spaces between them
  /// @error InvalidArgument  one sentence. Answer with 400.
  [[nodiscard]] static Result<AdminQuery> parse(std::string_view query, std::string_view allowed);

  /// Decoded; empty: it is not there.
  [[nodiscard]] std::string text(std::string_view name) const;
  /// Whether it is there, be it empty.
  [[nodiscard]] bool has(std::string_view name) const { return values_.contains(name); }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace jamsocket::server

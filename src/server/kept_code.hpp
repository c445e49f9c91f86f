// server/kept_code.hpp
//
// The code that kept rooms were made by, beside them in the store: rooms go on with it, whatever is served now.
//
// Thread: any.

#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "service/service.hpp"
#include "store/sqlite_store.hpp"

namespace jamsocket::server {

class KeptCode final : public service::Versions {
 public:
  /// @param broken  told what cannot be written; must not return.
  KeptCode(store::SqliteStore& store, std::function<void(const Error&)> broken);

  /// Before any room of it is made.
  void keep(std::string version, std::string code);

  // Versions
  [[nodiscard]] bool has(std::string_view version) const override;
  [[nodiscard]] Result<std::string> code(std::string_view version) override;

 private:
  store::SqliteStore& store_;
  std::function<void(const Error&)> broken_;
  mutable std::mutex mutex_;  // Held for a look only: shards take it where a room of other code comes back.
  std::set<std::string, std::less<>> versions_;
};

}  // namespace jamsocket::server

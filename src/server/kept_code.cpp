#include "server/kept_code.hpp"

#include <future>
#include <memory>
#include <optional>
#include <utility>

namespace jamsocket::server {

KeptCode::KeptCode(store::SqliteStore& store, std::function<void(const Error&)> broken)
    : store_(store),
      broken_(std::move(broken)),
      versions_(store.module_hashes().begin(), store.module_hashes().end()) {}

void KeptCode::keep(std::string version, std::string code) {
  {
    const std::scoped_lock lock(mutex_);
    versions_.insert(version);
  }
  store_.run([this, version = std::move(version), code = std::move(code)](store::Database& database) {
    if (const Result<void> kept = database.keep_module(version, code); !kept) {
      broken_(kept.error());
    }
  });
}

bool KeptCode::has(std::string_view version) const {
  const std::scoped_lock lock(mutex_);
  return versions_.contains(version);
}

Result<std::string> KeptCode::code(std::string_view version) {
  using Found = Result<std::optional<std::string>>;
  const auto answer = std::make_shared<std::promise<Found>>();
  auto found = answer->get_future();
  const bool is_asked = store_.try_run([answer, version = std::string(version)](store::Database& database) {
    answer->set_value(database.module(version));
  });
  if (!is_asked) {
    return fail(ErrorCode::Io, "the server is stopping");
  }
  std::optional<std::string> code = JAM_TRY(found.get());
  if (!code) {
    return fail(ErrorCode::NotFound, "it is not kept");
  }
  return *std::move(code);
}

}  // namespace jamsocket::server

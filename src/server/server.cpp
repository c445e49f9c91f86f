#include "server/server.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <latch>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "io/listener.hpp"
#include "server/admin_listener.hpp"
#include "server/admin_routes.hpp"
#include "server/settings.hpp"
#include "server/shard.hpp"
#include "server/static_files.hpp"
#include "service/random.hpp"
#include "store/sqlite_store.hpp"
#include "ws/handshake.hpp"

namespace jamsocket::server {
namespace {

Result<std::unique_ptr<const StaticFiles>> open_files(const std::string& directory) {
  if (directory.empty()) {
    return nullptr;
  }
  return std::make_unique<const StaticFiles>(JAM_TRY(StaticFiles::open(directory)));
}

constexpr int kExitStoreBroken = 3;

std::uint64_t random_secret() {
  const service::Seed bytes = service::random_seed();
  std::uint64_t secret = 0;
  std::memcpy(&secret, bytes.data(), sizeof secret);
  return secret;
}

class RunningServer final : public Server, private AdminTarget {
 public:
  RunningServer(Settings settings, std::unique_ptr<service::Service> service, Surroundings surroundings)
      : settings_(std::move(settings)),
        service_(std::move(service)),
        surroundings_(surroundings),
        threads_(surroundings.logger),
        shared_{.settings = settings_,
                .service = *service_,
                .files = {},
                .logger = surroundings.logger,
                .clock = surroundings.clock,
                .room_hash = RoomIdHash(random_secret()),
                .shards = shards_,
                .connection_count = connection_count_,
                .room_count = room_count_,
                .threads = threads_} {}

  ~RunningServer() override {
    end_shards();
    join_threads();
    if (admin_ != nullptr) {
      admin_->stop();
    }
  }

  // Nobody may hear of what was not kept: the process ends where it stands.
  static void end_process(const Error& error) {
    const std::string line =
        fmt::format("jamsocket: rooms can no longer be kept, so the server ends at once: {}\n", error.message);
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
    std::_Exit(kExitStoreBroken);
  }

  Result<void> open_store() {
    if (settings_.room.durability == room::Durability::None) {
      return {};
    }
    if (const auto obstacles = service_->obstacles_to_capture(); !obstacles.empty()) {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("rooms of the service {} cannot be kept: {}; durability = \"none\" serves it without",
                              service_->name(), obstacles.front()));
    }
    store_ = JAM_TRY(store::SqliteStore::open(settings_.data_dir, {}, surroundings_.logger, end_process));
    shared_.store = store_.get();
    keep_code();
    return {};
  }

  // Rooms go on with the code that made them: it is kept beside them.
  void keep_code() {
    if (settings_.room.upgrade != room::Upgrade::Keep) {
      return;
    }
    for (const std::string& code : store_->modules()) {
      if (const Result<void> added = service_->add_version(code); !added) {
        surroundings_.logger.warn("server.version_not_loaded", {{"reason", added.error().message}});
      }
    }
    if (!service_->code().empty()) {
      store_->run([version = std::string(service_->version()),
                   code = std::string(service_->code())](store::Database& database) {
        if (const Result<void> kept = database.keep_module(version, code); !kept) {
          end_process(kept.error());
        }
      });
    }
  }

  void wake_sleeping_rooms() {
    if (store_ == nullptr) {
      return;
    }
    for (store::SleepingRoom& room : store_->sleeping()) {
      if (room.name.service == service_->name()) {
        Shard& owner = *shards_[shared_.room_hash(room.name.id) % shards_.size()];
        owner.post([id = std::move(room.name.id), at = room.timer_ms](Shard& self) { self.wake_at(id, at); });
      }
    }
  }

  Result<void> start() override {
    if (!shards_.empty()) {
      return fail(ErrorCode::InvalidArgument, "the server was started before");
    }
    // RFC 6455's own example: a hash that fails shows here and not at the first client, which need not wait for
    // the library's pages either.
    JAM_CHECK(ws::accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    JAM_TRY_VOID(open_store());
    site_ = JAM_TRY(open_files(settings_.static_dir));
    client_ = JAM_TRY(open_files(settings_.client_dir));
    shared_.files = {.site = site_.get(), .client = client_.get()};
    listener_.emplace(JAM_TRY(io::Listener::open(settings_.host, settings_.port)));
    if (settings_.admin) {
      admin_ = JAM_TRY(AdminListener::open(*settings_.admin, surroundings_.logger, surroundings_.clock));
    }
    shards_.clear();
    for (std::size_t i = 0; i < settings_.shards; ++i) {
      shards_.push_back(JAM_TRY(Shard::create(i, shared_)));
      shards_.back()->post([this](Shard& shard) { shard.listen(*listener_); });
    }
    wake_sleeping_rooms();
    for (const auto& shard : shards_) {
      threads_.start(*shard);
    }
    port_ = listener_->port();
    surroundings_.logger.info("server.listening", {{"host", settings_.host},
                                                   {"port", std::uint32_t{port_.load()}},
                                                   {"shards", settings_.shards},
                                                   {"service", service_->name()}});
    if (admin_ != nullptr) {
      admin_port_ = admin_->port();
      admin_->start(admin_routes(*this, *admin_));
      surroundings_.logger.info("admin.listening",
                                {{"host", settings_.admin->host}, {"port", std::uint32_t{admin_port_.load()}}});
    }
    return {};
  }

  [[nodiscard]] std::uint16_t port() const override { return port_; }

  [[nodiscard]] std::uint16_t admin_port() const override { return admin_port_; }

  void on_stop_asked(std::function<void()> act) override { on_stop_asked_ = std::move(act); }

  void stop() override {
    if (stopping_.exchange(true)) {
      end_shards();
      return;
    }
    begin_to_stop();
    join_threads();
    if (admin_ != nullptr) {
      admin_->stop();
    }
  }

  void clock_moved() override {
    // A shard runs its tasks before its timers, and what those lead to before its next tasks.
    constexpr int kRounds = 3;
    for (int round = 0; round < kRounds; ++round) {
      std::latch all(static_cast<std::ptrdiff_t>(shards_.size()));
      for (const auto& shard : shards_) {
        shard->post([&all](Shard&) { all.count_down(); });
      }
      all.wait();
    }
  }

 private:
  // AdminTarget
  [[nodiscard]] std::span<const std::unique_ptr<Shard>> shards() const override { return shards_; }
  [[nodiscard]] Shard& owner_of(std::string_view room_id) const override {
    return *shards_[shared_.room_hash(room_id) % shards_.size()];
  }
  [[nodiscard]] Logger& logger() const override { return surroundings_.logger; }
  [[nodiscard]] bool is_stopping() const override { return draining_; }
  void ask_to_stop() override {
    if (on_stop_asked_) {
      on_stop_asked_();
    } else {
      begin_to_stop();
    }
  }

  // No new connections; the clients are asked to leave.
  void begin_to_stop() {
    if (draining_.exchange(true)) {
      return;
    }
    if (listener_) {
      listener_->stop_listening();
    }
    for (const auto& shard : shards_) {
      shard->post([](Shard& self) { self.drain(); });
    }
  }

  void end_shards() {
    for (const auto& shard : shards_) {
      shard->post([](Shard& self) { self.end(); });
    }
  }

  void join_threads() {
    threads_.join();
    if (store_ != nullptr) {
      store_->stop();  // While the shards are there to be told.
    }
    if (listener_) {
      listener_->close();
    }
  }

  Settings settings_;
  std::unique_ptr<service::Service> service_;
  Surroundings surroundings_;
  std::unique_ptr<const StaticFiles> site_;
  std::unique_ptr<const StaticFiles> client_;
  std::optional<io::Listener> listener_;
  std::unique_ptr<store::SqliteStore> store_;
  std::atomic<std::uint32_t> connection_count_{0};
  std::atomic<std::uint32_t> room_count_{0};
  std::vector<std::unique_ptr<Shard>> shards_;
  LoopThreads threads_;
  Shared shared_;
  std::unique_ptr<AdminListener> admin_;
  std::function<void()> on_stop_asked_;
  std::atomic<std::uint16_t> port_{0};
  std::atomic<std::uint16_t> admin_port_{0};
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_{false};
};

}  // namespace

Result<std::unique_ptr<Server>> Server::create(const ServerOptions& options, std::unique_ptr<service::Service> service,
                                               Surroundings surroundings) {
  Settings settings = JAM_TRY(Settings::from(options));
  return std::make_unique<RunningServer>(std::move(settings), std::move(service), surroundings);
}

}  // namespace jamsocket::server

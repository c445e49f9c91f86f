#include "server/server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <latch>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/log.hpp"
#include "io/listener.hpp"
#include "server/admin_listener.hpp"
#include "server/admin_note.hpp"
#include "server/admin_routes.hpp"
#include "server/background_tasks.hpp"
#include "server/kept_code.hpp"
#include "server/metrics.hpp"
#include "server/services.hpp"
#include "server/settings.hpp"
#include "server/shard.hpp"
#include "server/static_files.hpp"
#include "server/verifications.hpp"
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
// Operators who add or change services faster than they are loaded are told to come later.
constexpr std::size_t kServiceChangesMax = 16;
// Each has a room in memory, which may be as large as admin.export_bytes_max.
constexpr std::size_t kRoomFilesMax = 2;

std::uint64_t random_secret() {
  const service::Seed bytes = service::random_seed();
  std::uint64_t secret = 0;
  std::memcpy(&secret, bytes.data(), sizeof secret);
  return secret;
}

Result<HostedServicePtr> host(OfferedService offered) {
  if (!offered.name.empty()) {
    JAM_TRY_VOID(check_service_name(offered.name));
  }
  auto hosted = std::make_shared<HostedService>();
  hosted->settings = JAM_TRY(ServiceSettings::from(offered.options));
  if (hosted->settings.tokens.mode != TokenSettings::Mode::Off) {
    auto keys = auth::KeySet::load(hosted->settings.tokens.keys);
    if (!keys) {  // Whoever named the file is told, whatever is wrong with it.
      return fail(ErrorCode::InvalidArgument, fmt::format("token_keys: {}", keys.error().message));
    }
    hosted->verifier = std::make_shared<const auth::Verifier>(*std::move(keys), hosted->settings.tokens.rules);
  }
  if (!offered.name.empty()) {
    hosted->files = JAM_TRY(open_files(hosted->settings.static_dir));
  }
  hosted->path_name = std::move(offered.name);
  hosted->service = std::move(offered.service);
  return hosted;
}

std::string words_for(std::string_view name) {
  return name.empty() ? "service at /ws/{room}" : fmt::format("service '{}'", escape_for_log(name, 80));
}

class RunningServer final : public Server, private AdminTarget {
 public:
  RunningServer(Settings settings, Surroundings surroundings)
      : settings_(std::move(settings)),
        surroundings_(surroundings),
        limit_log_(surroundings.logger),
        memory_watch_(settings_.memory, resident_bytes),
        threads_(surroundings.logger, settings_.scheduling),
        shared_{.settings = settings_,
                .services = services_,
                .files = {},
                .logger = surroundings.logger,
                .clock = surroundings.clock,
                .room_hash = RoomNameHash(random_secret()),
                .shards = shards_,
                .connection_count = connection_count_,
                .room_count = room_count_,
                .threads = threads_,
                .limit_log = limit_log_,
                .memory = memory_watch_} {
    if (settings_.connections_per_address.is_on()) {
      shared_.connections_by_address = &connections_by_address_.emplace(settings_.connections_per_address);
    }
    if (settings_.connections_per_subject.is_on()) {
      shared_.connections_by_subject = &connections_by_subject_.emplace(settings_.connections_per_subject);
    }
    if (settings_.rooms_per_address.is_on()) {
      shared_.rooms_by_address = &rooms_by_address_.emplace(settings_.rooms_per_address);
    }
  }

  ~RunningServer() override {
    changes_.stop();
    beside_.stop();
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

  Result<void> load_tls() {
    if (settings_.tls.files) {
      tls_ = JAM_TRY(io::TlsContext::load(*settings_.tls.files, surroundings_.clock.unix_ms()));
      for (const std::string& warning : tls_->warnings()) {
        surroundings_.logger.warn("tls.certificate", {{"problem", warning}});
      }
    }
    return {};
  }

  // Connections that are there stay as they are.
  Result<void> reload_tls() {
    JAM_TRY_VOID(load_tls());
    if (tls_ != nullptr) {
      for (const auto& shard : shards_) {
        shard->post([tls = tls_](Shard& self) { self.use_tls(tls); });
      }
    }
    return {};
  }

  Result<void> open_store() {
    if (settings_.data_dir.empty()) {
      return {};
    }
    if (settings_.verify) {
      settings_.store.watch_checkpoints = [this](store::StoredRoom room, store::Checkpoint taken) {
        verifications_.verify_later(std::move(room), std::move(taken));
      };
    }
    store_ = JAM_TRY(store::SqliteStore::open(settings_.data_dir, settings_.store, surroundings_.logger, end_process));
    remove_admin_note(settings_.data_dir);  // Of a server that was killed.
    shared_.store = store_.get();
    kept_code_.emplace(*store_, end_process);
    for (const auto& [name, hosted] : services_.owned()->all()) {
      keep_code(*hosted);
    }
    return {};
  }

  // Whether rooms of the service can be kept, if they are to be; stored rooms go by the service's own name.
  Result<void> check_keeping(const HostedService& hosted) const {
    if (hosted.settings.room.durability == room::Durability::None) {
      return {};
    }
    if (const auto obstacles = hosted.service->obstacles_to_capture(); !obstacles.empty()) {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("rooms of the service {} cannot be kept: {}; durability = \"none\" serves it without",
                              hosted.service->name(), obstacles.front()));
    }
    for (const auto& [name, other] : services_.owned()->all()) {
      if (name != hosted.path_name && other->service->name() == hosted.service->name()) {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("two services are called {}, and rooms of both would be kept under that name; allowed: "
                                "names of their own",
                                hosted.service->name()));
      }
    }
    return {};
  }

  // Rooms go on with the code that made them: it is kept beside them. Before the service is offered.
  void keep_code(HostedService& hosted) {
    if (store_ == nullptr || hosted.settings.room.durability == room::Durability::None ||
        hosted.settings.room.upgrade == room::Upgrade::Restart) {
      return;
    }
    service::Service& service = *hosted.service;
    service.use_versions(*kept_code_);
    if (!service.code().empty()) {
      kept_code_->keep(std::string(service.version()), std::string(service.code()));
    }
  }

  [[nodiscard]] HostedServicePtr find_by_own_name(std::string_view name) const {
    const std::scoped_lock lock(changing_services_);
    for (const auto& [path_name, hosted] : services_.owned()->all()) {
      if (hosted->service->name() == name) {
        return hosted;
      }
    }
    return nullptr;
  }

  void wake_sleeping_rooms() {
    if (store_ == nullptr) {
      return;
    }
    for (const store::SleepingRoom& room : store_->sleeping()) {
      for (const auto& [path_name, hosted] : services_.owned()->all()) {
        if (hosted->service->name() == room.name.service) {
          owner_of({.service = path_name, .id = room.name.id})
              .post([service = path_name, id = room.name.id, at = room.timer_ms](Shard& self) {
                self.wake_at({.service = service, .id = id}, at);
              });
        }
      }
    }
  }

  Result<void> open_listeners() {
    for (io::Socket& socket : given_sockets_) {
      listeners_.push_back(
          JAM_TRY(io::Listener::inherit(std::move(socket), {.unsent_bytes_max = settings_.unsent_bytes_max})));
    }
    if (!given_sockets_.empty()) {
      return {};
    }
    using Stack = io::ListenOptions::Stack;
    for (const Endpoint& endpoint : settings_.endpoints) {
      // Where IPv4 has a listener of its own on that port, :: is for IPv6 alone.
      const bool has_v4 = std::ranges::any_of(settings_.endpoints, [&](const Endpoint& other) {
        const auto address = IpAddress::parse(other.host);
        return address && address->is_v4() && other.port == endpoint.port && other.port != 0;
      });
      listeners_.push_back(JAM_TRY(io::Listener::open(endpoint, {.stack = has_v4 ? Stack::Ipv6Only : Stack::Dual,
                                                                 .unsent_bytes_max = settings_.unsent_bytes_max,
                                                                 .unix_mode = settings_.unix_mode})));
    }
    return {};
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
    JAM_TRY_VOID(open_listeners());
    if (settings_.admin) {
      admin_ = JAM_TRY(AdminListener::open(*settings_.admin, surroundings_.logger, surroundings_.clock));
    }
    shards_.clear();
    for (std::size_t i = 0; i < settings_.shards; ++i) {
      shards_.push_back(JAM_TRY(Shard::create(i, shared_)));
      shards_.back()->post([this](Shard& shard) {
        shard.use_tls(tls_);
        shard.listen(listeners_);
      });
    }
    wake_sleeping_rooms();
    for (const auto& shard : shards_) {
      threads_.start(*shard);
    }
    started_ = true;
    for (const io::Listener& listener : listeners_) {
      port_ = port_ == 0 ? listener.port() : port_.load();
      surroundings_.logger.info("server.listening", {{"address", listener.endpoint().text()},
                                                     {"port", std::uint32_t{listener.port()}},
                                                     {"shards", settings_.shards},
                                                     {"services", names_of_services()}});
    }
    if (admin_ != nullptr) {
      admin_port_ = admin_->port();
      JAM_TRY_VOID(tell_commands());
      admin_->start(admin_routes(*this, *admin_, settings_.admin->room_files));
      surroundings_.logger.info("admin.listening",
                                {{"host", settings_.admin->host}, {"port", std::uint32_t{admin_port_.load()}}});
    }
    return {};
  }

  // The commands for rooms find this server by the directory that they are given.
  Result<void> tell_commands() {
    if (settings_.data_dir.empty()) {
      return {};
    }
    AdminNote note{.host = settings_.admin->host, .port = admin_->port(), .token = {}};
    if (admin_->asks_for_token()) {
      note.token = random_token();
      admin_->accept_also(note.token);
    }
    return write_admin_note(settings_.data_dir, note);
  }

  void reload() override {
    const Result<void> token = admin_ != nullptr ? admin_->reload() : Result<void>();
    const Result<void> tls = reload_tls();
    const SteadyTime now = surroundings_.clock.steady();
    if (now < next_reload_line_) {
      return;
    }
    next_reload_line_ = now + std::chrono::seconds{1};
    if (token && tls) {
      surroundings_.logger.info("server.reloaded", {});
    }
    for (const Result<void>& done : {token, tls}) {
      if (!done) {
        surroundings_.logger.warn("server.not_reloaded", {{"reason", done.error().message}});
      }
    }
  }

  void listen_on(std::vector<io::Socket> sockets) override { given_sockets_ = std::move(sockets); }

  [[nodiscard]] std::vector<Endpoint> endpoints() const override {
    std::vector<Endpoint> endpoints;
    endpoints.reserve(listeners_.size());
    for (const io::Listener& listener : listeners_) {
      endpoints.push_back(listener.endpoint());
    }
    return endpoints;
  }

  [[nodiscard]] bool speaks_tls() const override { return tls_ != nullptr; }

  [[nodiscard]] std::uint16_t port() const override { return port_; }

  [[nodiscard]] std::uint16_t admin_port() const override { return admin_port_; }

  void on_stop_asked(std::function<void()> act) override { on_stop_asked_ = std::move(act); }

  void stop() override {
    if (threads_.runs_here()) {
      return ask_to_stop();  // A service's call: what it would wait for is its own end.
    }
    if (stopping_.exchange(true)) {
      end_shards();
      return;
    }
    begin_to_stop();
    changes_.stop();
    beside_.stop();
    join_threads();
    if (admin_ != nullptr) {
      admin_->stop();
    }
    surroundings_.logger.info("server.stopped", {});
  }

  Result<void> add_service(OfferedService offered) override {
    const HostedServicePtr hosted = JAM_TRY(host(std::move(offered)));
    const std::scoped_lock lock(changing_services_);
    if (services_.owned()->find(hosted->path_name) != nullptr) {
      return fail(ErrorCode::AlreadyExists, fmt::format("there is a {} already", words_for(hosted->path_name)));
    }
    JAM_TRY_VOID(check_keeping(*hosted));
    keep_code(*hosted);
    put_service(hosted->path_name, hosted);
    return {};
  }

  Result<void> replace_service(OfferedService offered) override {
    const HostedServicePtr hosted = JAM_TRY(host(std::move(offered)));
    const std::scoped_lock lock(changing_services_);
    const HostedServicePtr before = services_.owned()->find(hosted->path_name);
    if (before == nullptr) {
      return fail(ErrorCode::NotFound, fmt::format("there is no {}", words_for(hosted->path_name)));
    }
    JAM_TRY_VOID(check_keeping(*hosted));
    keep_code(*hosted);
    hosted->take_the_place_of(before);
    put_service(hosted->path_name, hosted);
    return {};
  }

  Result<void> remove_service(std::string_view name) override {
    const std::scoped_lock lock(changing_services_);
    const HostedServicePtr removed = services_.owned()->find(name);
    if (removed == nullptr) {
      return fail(ErrorCode::NotFound, fmt::format("there is no {}", words_for(name)));
    }
    put_service(removed->path_name, nullptr);
    tell_shards([removed](Shard& shard) { shard.close_rooms_of(*removed); });
    return {};
  }

  [[nodiscard]] std::vector<ServiceFacts> services() const override {
    const std::scoped_lock lock(changing_services_);
    std::vector<ServiceFacts> facts;
    for (const auto& [name, hosted] : services_.owned()->all()) {
      facts.push_back({.name = name,
                       .service = std::string(hosted->service->name()),
                       .rooms = *hosted->room_count,
                       .cpu_ns = hosted->cpu_ns->load(std::memory_order_relaxed),
                       .memory_bytes = hosted->memory_bytes()});
    }
    return facts;
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
  [[nodiscard]] Shard& owner_of(const RoomName& name) const override {
    return *shards_[shared_.room_hash(name) % shards_.size()];
  }
  [[nodiscard]] Logger& logger() const override { return surroundings_.logger; }
  [[nodiscard]] bool is_stopping() const override { return draining_; }
  [[nodiscard]] std::vector<ServiceFacts> service_facts() const override { return services(); }
  bool change_service(ServiceChange change, std::string name, std::string wanted,
                      std::move_only_function<void(const Result<void>&)> done) override {
    return changes_.enqueue([this, change, name = std::move(name), wanted = std::move(wanted),
                             done = std::move(done)]() mutable { done(this->change(change, name, wanted)); });
  }
  bool run_beside(std::move_only_function<void()> task) override { return beside_.enqueue(std::move(task)); }
  store::SqliteStore* kept_rooms() override { return store_.get(); }
  [[nodiscard]] std::optional<std::string> path_of(std::string_view own_name) const override {
    const HostedServicePtr hosted = find_by_own_name(own_name);
    const bool keeps = hosted != nullptr && hosted->settings.room.durability != room::Durability::None;
    return keeps ? std::optional(hosted->path_name) : std::nullopt;
  }
  [[nodiscard]] bool runs_version(std::string_view own_name, std::string_view version) const override {
    const HostedServicePtr hosted = find_by_own_name(own_name);
    return hosted != nullptr && hosted->service->has_version(version);
  }
  void keeping_failed(const Error& error) override { end_process(error); }
  void ask_to_stop() override { on_stop_asked_ ? on_stop_asked_() : begin_to_stop(); }

  // No new connections; the clients are asked to leave.
  void begin_to_stop() {
    if (draining_.exchange(true)) {
      return;
    }
    surroundings_.logger.info("server.stopping", {{"connections", connection_count_.load()},
                                                  {"rooms", room_count_.load()},
                                                  {"drain_timeout_ms", settings_.drain_timeout.count()}});
    for (const io::Listener& listener : listeners_) {
      listener.stop_listening();
    }
    for (const auto& shard : shards_) {
      shard->post([](Shard& self) { self.drain(); });
    }
  }

  Result<void> change(ServiceChange change, const std::string& name, std::string_view wanted) {
    if (change == ServiceChange::Remove) {
      return remove_service(name);
    }
    if (surroundings_.maker == nullptr) {
      return fail(ErrorCode::Unsupported, "this server does not load modules; 'jamsocket serve' does");
    }
    JAM_TRY_VOID(check_service_name(name));
    auto made = JAM_TRY(surroundings_.maker->make(name, wanted));
    return change == ServiceChange::Add ? add_service(std::move(made)) : replace_service(std::move(made));
  }

  [[nodiscard]] std::string names_of_services() const {
    const std::scoped_lock lock(changing_services_);
    return services_.owned()->names();
  }

  // Null: it goes.
  void log_change(const std::string& name, const HostedService* hosted) {
    if (hosted == nullptr) {
      surroundings_.logger.info("server.service_removed", {{"service", name}});
      return;
    }
    const bool is_new = services_.owned()->find(name) == nullptr;
    surroundings_.logger.info(is_new ? "server.service_added" : "server.service_replaced",
                              {{"service", name}, {"version", hosted->service->version()}});
  }

  void put_service(const std::string& name, HostedServicePtr hosted) {
    if (started_) {
      log_change(name, hosted.get());
    }
    std::shared_ptr<const ServiceTable> before = services_.exchange(services_.owned()->with(name, std::move(hosted)));
    // Shards that look at the old table do so no longer when they run this.
    tell_shards([before = std::move(before)](Shard&) {});
  }

  void tell_shards(const std::function<void(Shard&)>& what) {
    if (started_) {
      for (const auto& shard : shards_) {
        shard->post(what);
      }
    }
  }

  void end_shards() {
    for (const auto& shard : shards_) {
      shard->post([](Shard& self) { self.end(); });
    }
  }

  void join_threads() {
    if (store_ != nullptr) {
      remove_admin_note(settings_.data_dir);
    }
    threads_.join();
    if (store_ != nullptr) {
      store_->stop();  // While the shards are there to be told.
    }
    verifications_.stop();
    for (io::Listener& listener : listeners_) {
      listener.close();
    }
  }

  Settings settings_;
  Surroundings surroundings_;
  std::unique_ptr<const StaticFiles> site_;
  std::unique_ptr<const StaticFiles> client_;
  std::vector<io::Socket> given_sockets_;
  std::vector<io::Listener> listeners_;
  SteadyTime next_reload_line_{};
  std::shared_ptr<const io::TlsContext> tls_;  ///< Null: connections are plain.
  std::unique_ptr<store::SqliteStore> store_;
  std::optional<KeptCode> kept_code_;  ///< Where there is a store; services look into it.
  LimitLog limit_log_;
  MemoryWatch memory_watch_;
  std::optional<KeyedLimit> connections_by_address_;  // Before the shards: their connections have places in it.
  std::optional<KeyedLimit> connections_by_subject_;
  std::optional<KeyedLimit> rooms_by_address_;
  std::atomic<std::uint32_t> connection_count_{0};
  std::atomic<std::uint32_t> room_count_{0};
  mutable std::mutex changing_services_;  // For those who change or list them; no shard ever takes it.
  Services services_;
  std::vector<std::unique_ptr<Shard>> shards_;  // After the services: rooms end with their shard.
  LoopThreads threads_;
  Shared shared_;
  std::unique_ptr<AdminListener> admin_;
  BackgroundTasks changes_{kServiceChangesMax};
  BackgroundTasks beside_{kRoomFilesMax};
  Verifications verifications_{
      {.find = [this](std::string_view name) { return find_by_own_name(name); },
       .count = [this](Counter counter) { shards_.front()->post([counter](Shard& s) { s.counters().add(counter); }); },
       .logger = surroundings_.logger,
       .effects = settings_.effects,
       .waiting_max = settings_.verify_waiting_max}};
  std::function<void()> on_stop_asked_;
  std::atomic<std::uint16_t> port_{0};
  std::atomic<std::uint16_t> admin_port_{0};
  std::atomic<bool> draining_{false};
  std::atomic<bool> started_{false};
  std::atomic<bool> stopping_{false};
};

}  // namespace

Result<std::unique_ptr<Server>> Server::create(const ServerOptions& options, std::unique_ptr<service::Service> service,
                                               Surroundings surroundings) {
  std::vector<OfferedService> services;
  services.push_back({.name = {}, .service = std::move(service), .options = options});
  return create(options, std::move(services), surroundings);
}

Result<std::unique_ptr<Server>> Server::create(const ServerOptions& options, std::vector<OfferedService> services,
                                               Surroundings surroundings) {
  Settings settings = JAM_TRY(Settings::from(options));
  auto server = std::make_unique<RunningServer>(std::move(settings), surroundings);
  if (const Result<void> loaded = server->load_tls(); !loaded) {
    return fail(ErrorCode::InvalidArgument, loaded.error().message);
  }
  for (OfferedService& offered : services) {
    JAM_TRY_VOID(server->add_service(std::move(offered)));
  }
  return server;
}

}  // namespace jamsocket::server

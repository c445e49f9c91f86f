// A room is a function of its log.
//
// Goal: what is run again, from a room's beginning or from a checkpoint, has the same memory to the bit and asked for
// the same effects. Method: random clients play with a kept room of each example, and of the counters in Rust and
// AssemblyScript; then what was stored is run by another engine, in other memory, and compared with the room that
// lived. JAMSOCKET_SEED=N plays another game; it is printed.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <random>
#include <string>

#include "room/rebuild.hpp"
#include "room/testing.hpp"
#include "wasm/testing.hpp"

namespace jamsocket {
namespace {

using room::Room;
using room::testing::FakeClient;
using room::testing::FakeShard;
using service::EventKind;
using service::Outcome;

constexpr std::uint64_t kEvents = 100'000;
constexpr std::uint64_t kEventsBetweenCheckpoints = 7'777;

/// Of effects, in order.
class Digest {
 public:
  void add(const service::Effects& effects) {
    for (const service::Effect& effect : effects.list()) {
      text_ = std::to_string(value_) + std::to_string(static_cast<int>(effect.kind)) + '/' +
              std::to_string(effect.recipient.code()) + '/' + std::to_string(effect.delay_ms) + '/' +
              std::to_string(effect.close_code) + '/';
      text_ += effects.bytes_of(effect);
      value_ = std::hash<std::string>{}(text_);
    }
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
  std::string text_;
};

// A service whose newest instance can be looked at.
class Watched final : public service::Service {
 public:
  using Made = std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault>;

  explicit Watched(std::unique_ptr<service::Service> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] std::string_view name() const override { return inner_->name(); }
  [[nodiscard]] Made create(const service::RoomStart& start, service::Effects& effects) override {
    return watch(inner_->create(start, effects));
  }
  [[nodiscard]] Made restore(const service::RoomStart& start, std::string_view state) override {
    return watch(inner_->restore(start, state));
  }
  [[nodiscard]] std::vector<std::string> obstacles_to_capture() const override {
    return inner_->obstacles_to_capture();
  }
  [[nodiscard]] std::string_view version() const override { return inner_->version(); }

  [[nodiscard]] std::string state() const {
    std::string bytes;
    EXPECT_EQ(live_->capture(bytes), Outcome::Done);
    return bytes;
  }
  [[nodiscard]] std::uint64_t effects() const { return digest_.value(); }

 private:
  class Instance final : public service::ServiceInstance {
   public:
    Instance(std::unique_ptr<ServiceInstance> inner, Digest& digest) : inner_(std::move(inner)), digest_(digest) {}
    Outcome handle(const service::Event& event, service::Effects& effects) override {
      const Outcome outcome = inner_->handle(event, effects);
      digest_.add(effects);
      return outcome;
    }
    [[nodiscard]] const service::Fault& fault() const override { return inner_->fault(); }
    [[nodiscard]] Outcome capture(std::string& state) const override { return inner_->capture(state); }

   private:
    std::unique_ptr<ServiceInstance> inner_;
    Digest& digest_;
  };

  Made watch(Made made) {
    if (!made) {
      return made;
    }
    auto instance = std::make_unique<Instance>(std::move(*made), digest_);
    live_ = instance.get();
    return instance;
  }

  std::unique_ptr<service::Service> inner_;
  Digest digest_;
  const Instance* live_ = nullptr;
};

std::unique_ptr<Watched> watched(const wasm::Engine& engine, const std::string& path) {
  const std::string bytes = wasm::testing::read_file(path);
  return std::make_unique<Watched>(
      wasm::make_module_service("guest", wasm::testing::loaded(engine, bytes), wasm::ModuleLimits{}));
}

// Clients who come, talk, and leave, while time passes.
class Game {
 public:
  Game(std::uint64_t seed, service::Service& service, room::RoomSettings settings)
      : random_(seed), shard_(disk, clock_), room_("lobby", service, settings, shard_) {
    room_.load(room::WhenMissing::Make);
    shard_.settle();
  }

  void play(std::uint64_t events) {
    for (std::uint64_t i = 0; i < events; ++i) {
      step();
      if (i % 64 == 0) {
        shard_.settle();
        for (FakeClient& client : clients_) {
          client.take();
        }
      }
    }
    shard_.settle();
  }

  std::shared_ptr<store::MemoryDisk> disk = std::make_shared<store::MemoryDisk>();

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  void step() {
    if (members_.empty() || (members_.size() < 8 && pick(50) == 0)) {
      FakeClient& client = clients_.emplace_back();
      auto info = std::make_unique<service::ConnectInfo>();
      info->query = pick(2) == 0 ? "name=Ada" : "";
      client.id = room_.join(client, std::move(info));
      members_.push_back(&client);
    } else if (members_.size() > 1 && pick(60) == 0) {
      const std::size_t who = pick(members_.size());
      room_.leave(members_[who]->id);
      members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(who));
    } else if (pick(40) == 0) {
      shard_.run();
      clock_.advance(Milliseconds{pick(2000)});
      shard_.timer_heap.run_due(clock_.steady());
    } else {
      const EventKind kind = pick(8) == 0 ? EventKind::Binary : EventKind::Text;
      room_.message(kind, members_[pick(members_.size())]->id, words());
    }
    shard_.run();
  }

  std::string words() {
    static constexpr std::string_view kKnown[] = {"increment", "decrement", "roll", "bytes", "/who",
                                                  "start",     "stop",      "",     "?",     "gr\xc3\xbc\xc3\x9f dich"};
    if (pick(3) != 0) {
      return std::string(kKnown[pick(std::size(kKnown))]);
    }
    std::string text(pick(100) == 0 ? pick(20'000) : pick(60), ' ');
    std::ranges::generate(text, [this] { return static_cast<char>('!' + pick(90)); });
    return text;
  }

  std::mt19937_64 random_;
  ManualClock clock_;
  FakeShard shard_;
  Room room_;
  std::deque<FakeClient> clients_;
  std::vector<FakeClient*> members_;
};

struct RunAgain {
  std::string state;
  std::uint64_t effects = 0;
};

RunAgain run_again(const std::string& path, const store::StoredRoom& stored) {
  const wasm::Engine engine;
  const auto service = watched(engine, path);
  service::Effects scratch{service::EffectLimits{}};
  const auto rebuild = room::Rebuild::from(stored);
  EXPECT_TRUE(rebuild) << rebuild.error().message;
  const auto instance = room::run(**rebuild, *service, scratch, nullptr);
  if (!instance) {
    ADD_FAILURE() << instance.error().reason;
    return {};
  }
  return {.state = service->state(), .effects = service->effects()};
}

std::uint64_t seed() {
  const char* const text = std::getenv("JAMSOCKET_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
}

class Determinism : public ::testing::TestWithParam<const char*> {};

TEST_P(Determinism, ARoomThatIsRunAgainIsTheSameToTheBit) {
  const std::string path = GetParam();
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << path << " was not built: its toolchain is missing";
  }
  SCOPED_TRACE("JAMSOCKET_SEED=" + std::to_string(seed()));
  const wasm::Engine engine;
  const auto service = watched(engine, path);
  room::RoomSettings settings;
  settings.durability = room::Durability::Local;
  settings.checkpoints = {
      .events = kEventsBetweenCheckpoints, .log_bytes = std::size_t{1} << 40U, .cpu = std::chrono::hours{1}};
  Game game(seed(), *service, settings);
  game.play(kEvents);

  const store::MemoryDisk::Room& kept = game.disk->rooms.begin()->second;
  ASSERT_GT(kept.log.size(), kEvents * 9 / 10);
  store::StoredRoom whole = kept.stored;
  ASSERT_TRUE(whole.checkpoint);
  whole.tail.clear();
  store::StoredRoom from_checkpoint = whole;
  whole.checkpoint.reset();
  for (const auto& [number, record] : kept.log) {
    whole.tail.push_back(record);
    if (number > from_checkpoint.checkpoint->number) {
      from_checkpoint.tail.push_back(record);
    }
  }
  ASSERT_FALSE(from_checkpoint.tail.empty());
  const RunAgain from_the_beginning = run_again(path, whole);
  EXPECT_TRUE(from_the_beginning.state == service->state());
  EXPECT_EQ(from_the_beginning.effects, service->effects());
  EXPECT_TRUE(run_again(path, from_checkpoint).state == service->state());
}

INSTANTIATE_TEST_SUITE_P(Guests, Determinism,
                         ::testing::Values(JAMSOCKET_EXAMPLES_DIR "/counter.wasm", JAMSOCKET_EXAMPLES_DIR "/echo.wasm",
                                           JAMSOCKET_EXAMPLES_DIR "/chat.wasm", JAMSOCKET_EXAMPLES_DIR "/clock.wasm",
                                           JAMSOCKET_EXAMPLES_DIR "/randomness.wasm",
                                           JAMSOCKET_EXAMPLES_DIR "/cpu_hog.wasm",
                                           JAMSOCKET_SDK_DIR "/counter_rust.wasm",
                                           JAMSOCKET_SDK_DIR "/counter_assemblyscript.wasm",
                                           JAMSOCKET_GUESTS_DIR "/stateroom_counter.wasm"),
                         [](const auto& test) { return std::filesystem::path(test.param).stem().string(); });

}  // namespace
}  // namespace jamsocket

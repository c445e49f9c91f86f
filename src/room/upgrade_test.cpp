// Rooms of one version of a service under the next one.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jamsocket/state.hpp"
#include "room/testing.hpp"

namespace jamsocket::room {
namespace {

using service::Effects;
using service::Event;
using service::EventKind;
using service::Fault;
using service::Outcome;
using service::RoomStart;
using testing::FakeClient;
using testing::FakeShard;
using testing::Heard;

// A counter that version 1 moves by 1 and version 2 by 10; "odd" is an event that version 2 cannot handle.
class StepsInstance final : public service::ServiceInstance {
 public:
  explicit StepsInstance(int version) : version_(version) {}
  Outcome handle(const Event& event, Effects& effects) override {
    if (event.kind == EventKind::Disconnect) {
      ++left_;
    } else if (event.kind == EventKind::Connect && event.connect_info->query == "no" && version_ == 1) {
      (void)effects.refuse("not you");
    } else if (event.kind == EventKind::Text && event.payload == "timer") {
      effects.set_timer(version_ == 1 ? 1000 : 5000);
    } else if (event.kind == EventKind::Text && event.payload == "odd" && version_ == 2) {
      fault_.reason = "not that";
      return Outcome::Trap;
    } else if (event.kind == EventKind::Text && event.payload == "left") {
      (void)effects.send_text(broadcast, "left " + std::to_string(left_));
    } else if (event.kind == EventKind::Text) {
      value_ += version_ == 1 ? 1 : 10;
      (void)effects.send_text(broadcast, std::to_string(value_));
    }
    return Outcome::Done;
  }
  [[nodiscard]] const Fault& fault() const override { return fault_; }
  [[nodiscard]] Outcome capture(std::string& state) const override {
    Writer writer;
    writer.put(version_);
    writer.put(value_);
    writer.put(left_);
    state += writer.bytes();
    return Outcome::Done;
  }
  [[nodiscard]] std::expected<std::string, Fault> save(const RoomStart& /*start*/) override {
    return std::to_string(value_);
  }
  bool put_back(std::string_view state) {
    Reader reader(state);
    const int version = reader.get<int>();
    reader.get(value_);
    reader.get(left_);
    return reader.ok() && version == version_;  // The memory of one means nothing to the other.
  }
  void load(std::string_view saved) { value_ = 1000 + std::stoi(std::string(saved)); }

 private:
  int version_;
  int value_ = 0;
  int left_ = 0;
  Fault fault_;
};

class StepsService final : public service::Service {
 public:
  StepsService(int newest, bool has_old) : newest_(newest), has_old_(has_old) {}
  [[nodiscard]] std::string_view name() const override { return "steps"; }
  using Made = std::expected<std::unique_ptr<service::ServiceInstance>, Fault>;
  [[nodiscard]] Made create(const RoomStart& start, Effects& /*effects*/) override {
    return std::make_unique<StepsInstance>(version_of(start));
  }
  [[nodiscard]] Made restore(const RoomStart& start, std::string_view state) override {
    auto instance = std::make_unique<StepsInstance>(version_of(start));
    if (!instance->put_back(state)) {
      return std::unexpected(Fault{Outcome::Trap, "another version's memory", {}});
    }
    return instance;
  }
  [[nodiscard]] Made migrate(const RoomStart& start, std::string_view saved) override {
    auto instance = std::make_unique<StepsInstance>(version_of(start));
    instance->load(saved);
    return instance;
  }
  [[nodiscard]] bool can_migrate(std::string_view /*from*/) const override { return loads; }
  [[nodiscard]] std::vector<std::string> obstacles_to_capture() const override { return {}; }
  [[nodiscard]] std::string_view version() const override { return newest_ == 1 ? "1" : "2"; }
  [[nodiscard]] bool has_version(std::string_view wanted) const override {
    return wanted == version() || (has_old_ && wanted == "1");
  }
  [[nodiscard]] bool must_load(std::string_view wanted) const override { return lies_on_disk && wanted != version(); }
  bool loads = true;
  bool lies_on_disk = false;

 private:
  [[nodiscard]] int version_of(const RoomStart& start) const {
    return start.version.empty() ? newest_ : start.version == "1" ? 1 : 2;
  }
  int newest_;
  bool has_old_;
};

class UpgradedRoom : public ::testing::Test {
 protected:
  UpgradedRoom() {
    settings.durability = Durability::Local;
    settings.checkpoints.events = 4;
  }
  /// A process that serves `version`, and a client in the room.
  void boot(int version, bool has_old = true) {
    room.reset();
    shard = std::make_unique<FakeShard>(disk, clock);
    service = std::make_unique<StepsService>(version, has_old);
    client = {};
    open();
  }
  void open() {
    room = std::make_unique<Room>("lobby", *service, settings, *shard);
    room->load(WhenMissing::Make);
    auto info = std::make_unique<service::ConnectInfo>();
    client.id = room->join(client, std::move(info));
    shard->settle();
    client.heard.clear();
  }
  Heard say(std::initializer_list<std::string_view> texts) {
    for (const std::string_view text : texts) {
      room->message(EventKind::Text, client.id, shard->received(text), PayloadStays::ForTheTurn);
    }
    shard->settle();
    return client.take();
  }
  std::uint64_t upgraded() { return shard->counter_set.get(Counter::RoomsUpgraded); }

  RoomSettings settings;
  ManualClock clock;
  std::shared_ptr<store::MemoryDisk> disk = std::make_shared<store::MemoryDisk>();
  std::unique_ptr<StepsService> service;
  std::unique_ptr<FakeShard> shard;
  std::unique_ptr<Room> room;
  FakeClient client;
};

TEST_F(UpgradedRoom, KeepGoesOnWithTheCodeThatMadeIt) {
  boot(1);
  EXPECT_EQ(say({"x", "x"}), (Heard{"1", "2"}));
  boot(2);
  EXPECT_EQ(say({"x"}), Heard{"3"});
  EXPECT_EQ(upgraded(), 0U);
}

// Goal: no other room waits while older code is read and compiled. Method: the room says so before the call that does
// it, and only before that; a shard runs such a call beside its loop.
TEST_F(UpgradedRoom, CodeThatMustBeLoadedIsNotWaitedFor) {
  boot(1);
  EXPECT_EQ(say({"x", "x"}), (Heard{"1", "2"}));
  boot(2);
  service->lies_on_disk = true;
  EXPECT_EQ(say({"x"}), Heard{"3"});
  EXPECT_EQ(shard->calls_that_load, 0);  // It was there when the room came back.
  room.reset();
  open();
  EXPECT_EQ(say({"x"}), Heard{"4"});
  EXPECT_EQ(shard->calls_that_load, 1);
  boot(2, false);  // There is nothing to load.
  service->lies_on_disk = true;
  room.reset();
  open();
  EXPECT_EQ(shard->calls_that_load, 0);
}

TEST_F(UpgradedRoom, AReplayNeedsItsOwnCodeOnlyWhereTheNewOneFails) {
  settings.upgrade = Upgrade::Replay;
  const auto boot_the_next = [this] {
    room.reset();
    shard = std::make_unique<FakeShard>(disk, clock);
    service = std::make_unique<StepsService>(2, true);
    service->lies_on_disk = true;
    client = {};
    open();
  };
  boot(1);
  EXPECT_EQ(say({"x", "x"}), (Heard{"1", "2"}));
  boot_the_next();
  EXPECT_EQ(say({"x"}), Heard{"30"});
  EXPECT_EQ(shard->calls_that_load, 0);
  EXPECT_EQ(shard->long_calls, 0);
  room.reset();
  disk->rooms.clear();
  boot(1);
  EXPECT_EQ(say({"x", "odd"}), (Heard{"1", "2"}));
  boot_the_next();
  EXPECT_EQ(say({"x"}), Heard{"3"});
  EXPECT_EQ(shard->long_calls, 1);  // It is told as soon as that is known.
}

TEST_F(UpgradedRoom, NorWhereNothingHappenedToTheRoomYet) {
  boot(1);
  room = std::make_unique<Room>("empty", *service, settings, *shard);
  room->load(WhenMissing::Create);
  shard->settle();
  EXPECT_EQ(shard->calls_that_load, 0);
  service = std::make_unique<StepsService>(2, true);
  service->lies_on_disk = true;
  room = std::make_unique<Room>("empty", *service, settings, *shard);
  room->load(WhenMissing::Refuse);
  client.id = room->join(client, std::make_unique<service::ConnectInfo>());
  shard->settle();
  EXPECT_EQ(shard->calls_that_load, 1);
}

TEST_F(UpgradedRoom, KeepWithoutThatCodeSetsItAside) {
  boot(1);
  boot(2, false);
  EXPECT_TRUE(room->refusal());
}

TEST_F(UpgradedRoom, KeepHoldsForARoomToWhichNothingHappenedYet) {
  boot(1);
  room = std::make_unique<Room>("empty", *service, settings, *shard);
  room->load(WhenMissing::Create);
  shard->settle();
  service = std::make_unique<StepsService>(2, true);
  room = std::make_unique<Room>("empty", *service, settings, *shard);
  room->load(WhenMissing::Refuse);
  client.id = room->join(client, std::make_unique<service::ConnectInfo>());
  shard->settle();
  client.heard.clear();
  EXPECT_EQ(say({"x", "x", "x", "x", "x"}).back(), "5");
}

TEST_F(UpgradedRoom, ReplayRunsAllThatEverHappenedByTheNewCode) {
  boot(1);
  EXPECT_EQ(say({"x", "x", "x", "x", "x"}).back(), "5");
  ASSERT_TRUE(disk->rooms.at({"steps", "lobby"}).stored.checkpoint);
  settings.upgrade = Upgrade::Replay;
  boot(2, false);
  EXPECT_EQ(say({"x"}), Heard{"60"});
  EXPECT_EQ(upgraded(), 1U);
  // From then on it is a room of the new code: nothing of it is run twice.
  boot(2, false);
  EXPECT_EQ(say({"x"}), Heard{"70"});
  EXPECT_EQ(upgraded(), 0U);
}

TEST_F(UpgradedRoom, ReplaySetsTheTimerOfTheNewCode) {
  boot(1);
  say({"timer"});
  const std::int64_t set_at = clock.unix_ms();
  settings.upgrade = Upgrade::Replay;
  boot(2);
  EXPECT_EQ(room->sleeps_until_ms(), set_at + 5000);
  EXPECT_EQ(shard->store.sleeping().front().timer_ms, set_at + 5000);
}

TEST_F(UpgradedRoom, ReplayLetsNobodyStayWhomTheOldCodeRefused) {
  boot(1);
  FakeClient refused;
  auto info = std::make_unique<service::ConnectInfo>();
  info->query = "no";
  refused.id = room->join(refused, std::move(info));
  shard->settle();
  EXPECT_EQ(refused.take(), Heard{"<refused not you>"});
  settings.upgrade = Upgrade::Replay;
  boot(2);
  EXPECT_EQ(say({"left"}), Heard{"left 2"});  // Also the first client, at the restart.
}

TEST_F(UpgradedRoom, ReplayThatTheNewCodeFailsLeavesTheRoomToItsOwnCode) {
  boot(1);
  EXPECT_EQ(say({"x", "odd"}), (Heard{"1", "2"}));
  settings.upgrade = Upgrade::Replay;
  boot(2);
  EXPECT_EQ(say({"x"}), Heard{"3"});
  EXPECT_EQ(upgraded(), 0U);
  boot(2, false);
  EXPECT_TRUE(room->refusal());
}

TEST_F(UpgradedRoom, MigrateHandsTheNewCodeWhatTheOldOneSaved) {
  boot(1);
  EXPECT_EQ(say({"x", "x", "x"}).back(), "3");
  settings.upgrade = Upgrade::Migrate;
  boot(2);
  EXPECT_EQ(say({"x"}), Heard{"1013"});
  EXPECT_EQ(upgraded(), 1U);
  boot(2, false);
  EXPECT_EQ(say({"x"}), Heard{"1023"});
}

TEST_F(UpgradedRoom, MigrateWithoutSaveAndLoadLeavesTheRoomToItsOwnCode) {
  boot(1);
  EXPECT_EQ(say({"x"}), Heard{"1"});
  settings.upgrade = Upgrade::Migrate;
  boot(2);
  room.reset();
  service->loads = false;
  disk = std::make_shared<store::MemoryDisk>();
  boot(1);
  EXPECT_EQ(say({"x"}), Heard{"1"});
  shard = std::make_unique<FakeShard>(disk, clock);
  service = std::make_unique<StepsService>(2, true);
  service->loads = false;
  open();
  EXPECT_EQ(say({"x"}), Heard{"2"});
}

// Goal: what somebody saw of the new code is not seen otherwise after a crash. Method: the process ends right after the
// first answer, before any further checkpoint.
TEST_F(UpgradedRoom, TheUpgradeIsOnDiskBeforeAnybodySeesIt) {
  boot(1);
  say({"x", "x"});
  settings.checkpoints.events = 1000;
  settings.upgrade = Upgrade::Migrate;
  boot(2);
  EXPECT_EQ(say({"x"}), Heard{"1012"});
  settings.upgrade = Upgrade::Keep;
  boot(2);
  EXPECT_EQ(say({"x"}), Heard{"1022"});
}

}  // namespace
}  // namespace jamsocket::room

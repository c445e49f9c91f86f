// The store, the gate, rooms, their sleep and their ends under a seeded simulator: a virtual clock, clients who
// come, talk and vanish, commits that take their time, a disk that fills up, fails and loses power, crashes at any
// moment. A failing seed is printed and plays the same again: JAMSOCKET_SEED=N. JAMSOCKET_SEEDS=N plays so many.
//
// The checker knows only what clients saw and said. The service hands out numbers, one an event:
//   - a number that anybody saw is never handed out again: nothing seen is lost, nothing happens twice
//   - a client sees rising numbers without a gap while it is connected: order, exactly once
//   - no number is higher than what was asked for: nothing that was not seen happens twice either
//   - no two clients are told the same id
//   - once all is quiet, the service knows exactly those who are connected, and no timer is overdue

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <memory>
#include <memory_resource>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "room/simulated_disk.hpp"
#include "room/testing.hpp"

namespace jamsocket::room {
namespace {

using service::EventKind;
using testing::BasicShard;
using testing::FakeClient;
using testing::Keeper;
using testing::SimulatedDisk;

struct SimClient {
  FakeClient link;
  bool is_connected = true;
  std::optional<std::int64_t> last_number;
  std::size_t looked_at = 0;
};

struct SimRoom {
  explicit SimRoom(std::string room_id) : id(std::move(room_id)) {}
  std::string id;
  std::unique_ptr<Room> room;
  std::unique_ptr<RoomAsleep> asleep;  ///< In its place.
  std::deque<SimClient> clients;       ///< Of this process; never moved.
  std::int64_t wakes_at_ms = 0;        ///< Its timer, where it is not in memory.
  std::int64_t highest_seen = 0;
  std::int64_t highest_possible = 0;  ///< If all that was asked for happened, once.
  std::set<std::string> ids_seen;
};

class Simulation {
 public:
  Simulation(std::uint64_t seed, std::unique_ptr<SimulatedDisk> disk) : random_(seed), disk_(std::move(disk)) {
    // Without the gate, what was seen holds as long as nothing crashes.
    crashes_ = pick(8) != 0;
    settings_.durability = crashes_ ? Durability::Local : Durability::Async;
    settings_.checkpoints.events = 1 + pick(20);
    settings_.gate.events_max = 1 + pick(8);
    settings_.sleep_after = Milliseconds{1 + pick(3000)};
    settings_.shutdown_policy.empty_for = std::chrono::seconds{pick(3)};
    for (std::uint64_t i = 0; i <= pick(3); ++i) {
      rooms_.emplace_back("room " + std::to_string(i));
    }
    start();
  }

  void run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      step();
      check();
      if (disk_->is_broken()) {
        start();
      }
    }
    quiet_down();
  }

  /// All that all clients heard, in order.
  [[nodiscard]] const std::string& transcript() const { return transcript_; }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  SimRoom& any_room() { return rooms_[pick(rooms_.size())]; }

  // A process starts. What the one before it had under way is gone, its clients with it.
  void start() {
    for (SimRoom& room : rooms_) {
      room.room.reset();
      room.asleep.reset();
      room.clients.clear();
      room.wakes_at_ms = 0;
    }
    tasks_.clear();
    put_to_sleep_.clear();
    shard_.reset();
    store::Store& store = disk_->start(random_());
    shard_ = std::make_unique<BasicShard>(
        store, clock_, [this](std::move_only_function<void()> task) { tasks_.push_back(std::move(task)); });
    shard_->keeps_asleep = [this](Room& room) { return keep_asleep(room); };
    for (const store::SleepingRoom& sleeping : store.sleeping()) {
      for (SimRoom& room : rooms_) {
        room.wakes_at_ms = room.id == sleeping.name.id ? sleeping.timer_ms : room.wakes_at_ms;
      }
    }
  }

  void step() {
    SimRoom& room = any_room();
    switch (pick(20)) {
      case 0:
        misfortune(room);
        break;
      case 1:
      case 2:
        join(room);
        break;
      case 3:
        leave(room);
        break;
      case 4:
        pass(Milliseconds{pick(1500)});
        break;
      case 5:
      case 6:
      case 7:
        disk_->work();
        break;
      case 8:
        answer();
        break;
      case 9:
        say(room, pick(3) == 0 ? "throw" : pick(2) == 0 ? "timer" : "close");
        break;
      case 10:
        settle();
        break;
      default:
        say(room, "count");
        if (pick(3) != 0) {
          shard_->run();
        }
    }
    drop_ended();
  }

  void misfortune(SimRoom& room) {
    switch (pick(12)) {
      case 0:
      case 1:
        if (crashes_) {
          start();
        }
        break;
      case 2:
        if (crashes_) {
          disk_->fail_soon(random_());
        }
        break;
      case 3:
        disk_->set_full(true);
        break;
      case 4:
        heal();
        damaged_ = {.service = "keeper", .id = room.id};
        disk_->set_damaged(*damaged_, true);
        break;
      default:
        heal();
    }
  }

  void heal() {
    if (damaged_) {
      disk_->set_damaged(*std::exchange(damaged_, std::nullopt), false);
    }
    disk_->set_full(false);
  }

  // The store's answers reach the shard.
  void answer() {
    for (auto& task : std::exchange(tasks_, {})) {
      task();
    }
    shard_->run();
  }

  void settle() {
    do {
      answer();
    } while (disk_->work() || !tasks_.empty() || !shard_->queue.empty() || shard_->shard_journal.has_open());
  }

  void pass(Milliseconds time) {
    clock_.advance(time);
    shard_->timer_heap.run_due(clock_.steady());
    for (SimRoom& room : rooms_) {
      if (room.room == nullptr && room.wakes_at_ms != 0 && room.wakes_at_ms <= clock_.unix_ms()) {
        open(room, WhenMissing::Refuse);
      }
    }
    shard_->run();
  }

  bool keep_asleep(Room& sleeping) {
    if (pick(4) == 0) {
      return false;
    }
    for (SimRoom& room : rooms_) {
      if (room.room.get() == &sleeping) {
        room.asleep = std::make_unique<RoomAsleep>("keeper", room.id, *std::pmr::new_delete_resource());
        sleeping.move_to(*room.asleep);
        room.wakes_at_ms = room.asleep->timer_ms;
        put_to_sleep_.push_back(std::move(room.room));
        transcript_ += "sleeps\n";
      }
    }
    return true;
  }

  void wake(SimRoom& room) {
    if (room.asleep != nullptr) {
      room.wakes_at_ms = 0;
      room.room = std::make_unique<Room>(room.id, *service_, settings_, *shard_);
      room.room->wake_from(*std::exchange(room.asleep, nullptr));
    }
  }

  void drop_ended() {
    put_to_sleep_.clear();
    for (Room* const ended : std::exchange(shard_->ended_rooms, {})) {
      for (SimRoom& room : rooms_) {
        if (room.room.get() == ended) {
          std::erase(shard_->queue, ended);
          room.wakes_at_ms = ended->sleeps_until_ms();
          room.room.reset();
        }
      }
    }
  }

  void open(SimRoom& room, WhenMissing when_missing) {
    if (room.asleep != nullptr) {
      wake(room);
      return;
    }
    room.wakes_at_ms = 0;
    room.room = std::make_unique<Room>(room.id, *service_, settings_, *shard_);
    room.room->load(when_missing);
  }

  void join(SimRoom& room) {
    if (room.room == nullptr) {
      open(room, WhenMissing::Make);
    }
    if (room.room->refusal()) {
      return;
    }
    SimClient& client = room.clients.emplace_back();
    client.link.id = room.room->join(client.link, std::make_unique<service::ConnectInfo>());
  }

  SimClient* any_client(SimRoom& room) {
    if ((room.room == nullptr && room.asleep == nullptr) || room.clients.empty()) {
      return nullptr;
    }
    SimClient& client = room.clients[pick(room.clients.size())];
    if (client.is_connected) {
      wake(room);
    }
    return client.is_connected ? &client : nullptr;
  }

  void leave(SimRoom& room) {
    if (SimClient* const client = any_client(room)) {
      client->is_connected = false;
      room.room->leave(client->link.id);
    }
  }

  void say(SimRoom& room, std::string_view text) {
    SimClient* const client = any_client(room);
    if (client != nullptr && client->link.in) {
      room.highest_possible += text == "count" ? 1 : text == "timer" ? 100 : 0;
      room.room->message(EventKind::Text, client->link.id, shard_->received(text), PayloadStays::ForTheTurn);
    }
  }

  void check() {
    for (SimRoom& room : rooms_) {
      const std::int64_t before = room.highest_seen;
      for (SimClient& client : room.clients) {
        for (; client.looked_at < client.link.heard.size(); ++client.looked_at) {
          const std::string& text = client.link.heard[client.looked_at];
          transcript_ += text + '\n';
          hear(room, client, text, before);
        }
      }
    }
  }

  void hear(SimRoom& room, SimClient& client, const std::string& text, std::int64_t seen_before) {
    if (text.starts_with("<")) {
      client.is_connected = client.is_connected && text == "<in>";
      return;
    }
    if (text.starts_with("you are ")) {
      EXPECT_TRUE(room.ids_seen.insert(text).second) << room.id << ": two clients heard '" << text << "'";
      return;
    }
    const bool is_tick = text.starts_with("tick ");
    const std::string digits = is_tick ? text.substr(5) : text;
    if (digits.find_first_not_of("0123456789") != std::string::npos) {
      EXPECT_NE(text, "never seen");
      return;
    }
    const std::int64_t number = std::stoll(digits);
    EXPECT_LE(number, room.highest_possible) << room.id << ": something happened twice";
    if (client.last_number) {
      EXPECT_EQ(number, *client.last_number + (is_tick ? 100 : 1)) << room.id << ": not the next one";
    } else if (room.highest_seen == seen_before) {
      // Nobody heard more in this step: who comes later in it has company.
      EXPECT_GT(number, seen_before) << room.id << ": a number that had been seen";
    }
    client.last_number = number;
    room.highest_seen = std::max(room.highest_seen, number);
  }

  void quiet_down() {
    disk_->mend();
    if (disk_->is_broken()) {
      start();
    }
    heal();
    for (int i = 0; i < 200; ++i) {  // Out of every time aside.
      settle();
      pass(Milliseconds{1000});
      settle();
      drop_ended();
    }
    check();
    for (SimRoom& room : rooms_) {
      ask(room);
    }
  }

  void ask(SimRoom& room) {
    join(room);
    settle();
    check();
    SimClient& asker = room.clients.back();
    ASSERT_TRUE(asker.link.in) << room.id;
    for (const std::string_view question : {"who", "waits", "count"}) {
      room.highest_possible += question == "count" ? 1 : 0;
      room.room->message(EventKind::Text, asker.link.id, question);
    }
    settle();
    check();
    std::size_t connected = 0;
    for (const SimClient& client : room.clients) {
      connected += client.is_connected ? 1U : 0U;
    }
    const auto& heard = asker.link.heard;
    EXPECT_NE(std::ranges::find(heard, "here are " + std::to_string(connected)), heard.end())
        << room.id << ": not everybody, or somebody who is gone";
    EXPECT_NE(std::ranges::find(heard, "waits for nothing"), heard.end()) << room.id << ": a timer that never came";
  }

  std::mt19937_64 random_;
  std::unique_ptr<SimulatedDisk> disk_;
  RoomSettings settings_;
  ManualClock clock_;
  std::unique_ptr<service::Service> service_ =
      service::make_native_service("keeper", jamsocket::detail::native_service_factory<Keeper>());
  std::unique_ptr<BasicShard> shard_;
  std::vector<std::unique_ptr<Room>> put_to_sleep_;  ///< Until the step ends.
  std::deque<std::move_only_function<void()>> tasks_;
  std::deque<SimRoom> rooms_;
  bool crashes_ = true;
  std::optional<store::RoomName> damaged_;
  std::string transcript_;
};

constexpr int kSteps = 200;

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

void play(std::uint64_t seeds, std::unique_ptr<SimulatedDisk> (&make_disk)()) {
  const std::uint64_t one = number_from_environment("JAMSOCKET_SEED", 0);
  const std::uint64_t first = one != 0 ? one : number_from_environment("JAMSOCKET_FIRST_SEED", 1);
  const std::uint64_t count = one != 0 ? 1 : number_from_environment("JAMSOCKET_SEEDS", seeds);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("JAMSOCKET_SEED=" + std::to_string(seed) + " plays it again");
    Simulation(seed, make_disk()).run(kSteps);
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
}

TEST(Simulation, WhatAnybodySawStaysTrue) { play(1000, testing::make_memory_disk); }

// The same over the real database, on a disk that tears and drops what was not synced.
TEST(Simulation, WhatAnybodySawStaysTrueOnDisk) { play(150, testing::make_database_disk); }

TEST(Simulation, ASeedPlaysTheSameAgain) {
  for (const auto& make_disk : {testing::make_memory_disk, testing::make_database_disk}) {
    std::string heard;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      Simulation first(seed, make_disk());
      Simulation second(seed, make_disk());
      first.run(kSteps);
      second.run(kSteps);
      EXPECT_EQ(first.transcript(), second.transcript());
      heard += first.transcript();
    }
    EXPECT_GT(heard.size(), 5000U);
    EXPECT_NE(heard.find("sleeps"), std::string::npos) << "with nothing in memory but its members";
  }
}

}  // namespace
}  // namespace jamsocket::room

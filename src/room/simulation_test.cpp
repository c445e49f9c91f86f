// The store, the gate, rooms and their ends under a seeded simulator: a virtual clock, clients who come,
// talk and vanish, commits that take their time, crashes at any moment. A failing seed is printed and plays
// the same again: JAMSOCKET_SEED=N. JAMSOCKET_SEEDS=N plays so many.
//
// The checker knows only what clients saw. The service hands out numbers, one an event:
//   - a number that anybody saw is never handed out again: nothing seen is lost, nothing happens twice
//   - a client sees rising numbers without a gap while it is connected: order, exactly once
//   - no two clients are told the same id
//   - once all is quiet, the service knows exactly those who are connected

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "room/testing.hpp"

namespace jamsocket::room {
namespace {

using service::EventKind;
using testing::FakeClient;
using testing::FakeShard;
using testing::Keeper;

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
  std::deque<SimClient> clients;  ///< Of this process; never moved.
  std::int64_t highest_seen = 0;
  std::set<std::string> ids_seen;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed) {
    settings_.durability = Durability::Local;
    settings_.checkpoints.events = 1 + pick(20);
    settings_.gate.events_max = 1 + pick(8);
    settings_.sleep_after = Milliseconds{1 + pick(3000)};
    settings_.shutdown_policy.empty_for = std::chrono::seconds{pick(3)};
    for (std::uint64_t i = 0; i <= pick(3); ++i) {
      rooms_.emplace_back("room " + std::to_string(i));
    }
    boot();
  }

  void run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      step();
      check();
    }
    quiet_down();
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  SimRoom& any_room() { return rooms_[pick(rooms_.size())]; }

  void boot() {
    for (SimRoom& room : rooms_) {
      room.room.reset();
      room.clients.clear();
    }
    shard_ = std::make_unique<FakeShard>(disk_, clock_);
  }

  void step() {
    SimRoom& room = any_room();
    switch (pick(20)) {
      case 0:
        if (pick(4) == 0) {
          boot();  // A crash: what was in flight is gone.
        }
        break;
      case 1:
      case 2:
        join(room);
        break;
      case 3:
        leave(room);
        break;
      case 4:
        clock_.advance(Milliseconds{pick(1500)});
        shard_->timer_heap.run_due(clock_.steady());
        shard_->run();
        break;
      case 5:
      case 6:
      case 7:
      case 8:
        shard_->store.commit_one();
        break;
      case 9:
        say(room, pick(3) == 0 ? "throw" : pick(2) == 0 ? "timer" : "close");
        break;
      case 10:
        shard_->settle();
        break;
      default:
        say(room, "count");
        if (pick(3) != 0) {
          shard_->run();
        }
    }
    drop_ended();
  }

  void drop_ended() {
    for (Room* const ended : std::exchange(shard_->ended_rooms, {})) {
      for (SimRoom& room : rooms_) {
        if (room.room.get() == ended) {
          std::erase(shard_->queue, ended);
          room.room.reset();
        }
      }
    }
  }

  void join(SimRoom& room) {
    if (room.room == nullptr) {
      room.room = std::make_unique<Room>(room.id, *service_, settings_, *shard_);
      room.room->load(WhenMissing::Make);
    }
    if (room.room->refusal()) {
      return;
    }
    SimClient& client = room.clients.emplace_back();
    client.link.id = room.room->join(client.link, std::make_unique<service::ConnectInfo>());
  }

  SimClient* any_client(SimRoom& room) {
    if (room.room == nullptr || room.clients.empty()) {
      return nullptr;
    }
    SimClient& client = room.clients[pick(room.clients.size())];
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
      room.room->message(EventKind::Text, client->link.id, text);
    }
  }

  void check() {
    for (SimRoom& room : rooms_) {
      const std::int64_t before = room.highest_seen;
      for (SimClient& client : room.clients) {
        for (; client.looked_at < client.link.heard.size(); ++client.looked_at) {
          hear(room, client, client.link.heard[client.looked_at], before);
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
    if (client.last_number) {
      EXPECT_EQ(number, *client.last_number + (is_tick ? 100 : 1)) << room.id << ": not the next one";
    } else if (crashed_since_seen(room, seen_before)) {
      EXPECT_GT(number, seen_before) << room.id << ": a number that had been seen";
    }
    client.last_number = number;
    room.highest_seen = std::max(room.highest_seen, number);
  }

  // A number is new to everybody when its first hearer hears it; those who hear the same one in the same
  // step have company.
  static bool crashed_since_seen(const SimRoom& room, std::int64_t seen_before) {
    return room.highest_seen == seen_before;
  }

  void quiet_down() {
    shard_->settle();
    for (int i = 0; i < 200; ++i) {  // Out of every time aside.
      clock_.advance(Milliseconds{1000});
      shard_->timer_heap.run_due(clock_.steady());
      shard_->settle();
      drop_ended();
    }
    check();
    for (SimRoom& room : rooms_) {
      join(room);
      shard_->settle();
      check();
      SimClient& asker = room.clients.back();
      ASSERT_TRUE(asker.link.in);
      room.room->message(EventKind::Text, asker.link.id, "who");
      room.room->message(EventKind::Text, asker.link.id, "count");
      shard_->settle();
      check();
      std::size_t connected = 0;
      for (const SimClient& client : room.clients) {
        connected += client.is_connected ? 1U : 0U;
      }
      const auto& heard = asker.link.heard;
      EXPECT_NE(std::ranges::find(heard, "here are " + std::to_string(connected)), heard.end())
          << room.id << ": not everybody, or somebody who is gone";
    }
  }

  std::mt19937_64 random_;
  RoomSettings settings_;
  ManualClock clock_;
  std::shared_ptr<store::MemoryDisk> disk_ = std::make_shared<store::MemoryDisk>();
  std::unique_ptr<service::Service> service_ =
      service::make_native_service("keeper", jamsocket::detail::native_service_factory<Keeper>());
  std::unique_ptr<FakeShard> shard_;
  std::deque<SimRoom> rooms_;
};

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(Simulation, WhatAnybodySawStaysTrue) {
  const std::uint64_t one = number_from_environment("JAMSOCKET_SEED", 0);
  const std::uint64_t seeds = one != 0 ? 1 : number_from_environment("JAMSOCKET_SEEDS", 1000);
  for (std::uint64_t i = 0; i < seeds; ++i) {
    const std::uint64_t seed = one != 0 ? one : i + 1;
    Simulation simulation(seed);
    simulation.run(200);
    ASSERT_FALSE(HasFailure()) << "JAMSOCKET_SEED=" << seed << " plays it again";
  }
}

}  // namespace
}  // namespace jamsocket::room

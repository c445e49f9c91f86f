// room/durable_for_test.hpp
//
// For tests: a room, the shard it is on, and two who may be in it.

#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <memory_resource>
#include <string>
#include <string_view>
#include <utility>

#include "room/testing.hpp"

namespace jamsocket::room::testing {

class RoomOnShard : public ::testing::Test {
 protected:
  void advance(Milliseconds by) {
    clock.advance(by);
    shard->timer_heap.run_due(clock.steady());
  }

  RoomSettings settings;
  ManualClock clock;
  std::shared_ptr<store::MemoryDisk> disk = std::make_shared<store::MemoryDisk>();
  std::unique_ptr<service::Service> service =
      service::make_native_service("keeper", jamsocket::detail::native_service_factory<Keeper>());
  std::unique_ptr<FakeShard> shard;
  std::unique_ptr<Room> room;
  FakeClient alice;
  FakeClient bob;
};

class DurableRoom : public RoomOnShard {
 protected:
  DurableRoom() { settings.durability = Durability::Local; }
  /// Starts the process, or kills it and starts it again: what was in flight is lost.
  void boot() {
    room.reset();
    shard.reset();
    asleep.reset();
    put_to_sleep.reset();
    shard = std::make_unique<FakeShard>(disk, clock);
    shard->keeps_asleep = [this](Room& sleeping) { return keep_asleep(sleeping); };
  }
  void open(WhenMissing when_missing = WhenMissing::Make) {
    room.reset();
    room = std::make_unique<Room>("lobby", *service, settings, *shard);
    room->load(when_missing);
  }
  void join(FakeClient& client, std::string query = {}) {
    auto info = std::make_unique<service::ConnectInfo>();
    info->query = std::move(query);
    client.id = awake().join(client, std::move(info));
  }
  void leave(const FakeClient& client) { awake().leave(client.id); }
  void say(FakeClient& client, std::string_view text) {
    awake().message(service::EventKind::Text, client.id, shard->received(text), PayloadStays::ForTheTurn);
  }
  bool keep_asleep(Room& sleeping) {
    if (keeps_members_only) {
      asleep = std::make_unique<RoomAsleep>("keeper", sleeping.id(), *std::pmr::new_delete_resource());
      sleeping.move_to(*asleep);
      put_to_sleep = std::move(room);  // It is still at it.
    }
    return keeps_members_only;
  }
  Room& awake() {
    if (asleep != nullptr) {
      room = std::make_unique<Room>("lobby", *service, settings, *shard);
      room->wake_from(*std::exchange(asleep, nullptr));
    }
    return *room;
  }
  void start() {
    boot();
    open();
    join(alice);
    shard->settle();
    alice.take();
  }
  /// In the next process: what somebody hears who comes and says `text`.
  Heard after_a_crash(std::string_view text) {
    boot();
    open();
    FakeClient newcomer;
    join(newcomer);
    shard->settle();
    say(newcomer, text);
    shard->settle();
    room.reset();  // Before the newcomer.
    return newcomer.take();
  }

  bool keeps_members_only = false;     ///< Of a room that sleeps.
  std::unique_ptr<RoomAsleep> asleep;  ///< In its place.
  std::unique_ptr<Room> put_to_sleep;
};

}  // namespace jamsocket::room::testing

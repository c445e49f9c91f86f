// room/testing.hpp
//
// For tests: a durable service, a shard over a store in memory, in a process that can crash, and clients
// that write down what they hear.

#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "room/room.hpp"
#include "service/native.hpp"
#include "store/memory_store.hpp"

namespace jamsocket::room::testing {

using Heard = std::vector<std::string>;

// A counter with a timer, a list of who is there, and a weakness.
class Keeper {
 public:
  Keeper(std::string_view /*room*/, Context& context) { born_ = context.now(); }
  void connect(ClientId client, const ClientInfo& info, Context& context) {
    if (info.query() == "no") {
      context.refuse("not you");
      return;
    }
    present_.push_back(static_cast<std::uint32_t>(client));
    context.send_message(client, "you are " + std::to_string(static_cast<std::uint32_t>(client)));
  }
  void disconnect(ClientId client, Context& context) {
    std::erase(present_, static_cast<std::uint32_t>(client));
    context.send_message(broadcast, "left " + std::to_string(static_cast<std::uint32_t>(client)));
  }
  void message(ClientId client, std::string_view text, Context& context) {
    if (text == "throw") {
      value_ = 1'000'000;
      context.send_message(broadcast, "never seen");
      throw std::runtime_error("as asked");
    }
    if (text == "who") {
      context.send_message(client, "here are " + std::to_string(present_.size()));
    } else if (text == "timer") {
      waits_ = true;
      context.set_timer(500);
    } else if (text == "waits") {
      context.send_message(client, waits_ ? "waits" : "waits for nothing");
    } else if (text == "close") {
      context.close(client, 4000, "as asked");
    } else {
      context.send_message(broadcast, std::to_string(++value_));
    }
  }
  void timer(Context& context) {
    waits_ = false;
    value_ += 100;
    context.send_message(broadcast, "tick " + std::to_string(value_));
  }
  void save(Writer& writer) const {
    writer.put(value_);
    writer.put(present_);
    writer.put(born_);
    writer.put(waits_);
  }
  void load(Reader& reader) {
    reader.get(value_);
    reader.get(present_);
    reader.get(born_);
    reader.get(waits_);
  }

 private:
  std::int64_t value_ = 0;
  std::vector<std::uint32_t> present_;
  std::int64_t born_ = 0;
  bool waits_ = false;  ///< Its timer is set.
};

// What rooms need of a shard.
class BasicHost : public RoomHost, public SlowCallHost {
 public:
  explicit BasicHost(ManualClock& wall) : clock(wall) {}
  service::CallMonitor::Verdict call_runs_long(ServiceCall&) override {
    ++long_calls;
    return service::CallMonitor::Verdict::GoOn;
  }
  void runnable(Room& room) override {
    room.queued = Room::Queued::Yes;
    queue.push_back(&room);
  }
  void room_failed(Room&) override { ++failed; }
  void room_fell_asleep() override { ++fell_asleep; }
  bool keep_asleep(Room& room) override { return keeps_asleep && keeps_asleep(room); }
  void room_ended(Room& room) override {
    ++ended;
    ended_rooms.push_back(&room);
  }
  SteadyTime steady_now() const override { return clock.steady(); }
  std::int64_t unix_ms() const override { return clock.unix_ms(); }
  io::TimerHeap& timers() override { return timer_heap; }
  InboxPool& inboxes() override { return pool; }
  OutputArena& output() override { return arena; }
  Counters& counters() override { return counter_set; }
  Logger& logger() override { return log; }
  void limit_hit(Counter limit, const Room&) override { counter_set.add(limit); }
  store::Journal* journal() override { return nullptr; }

  /// `text` in a buffer that is written over once the rooms have run: for PayloadStays::ForTheTurn.
  std::string_view received(std::string_view text) { return received_.emplace_back(text); }
  /// Until no room has events.
  void run_rooms() {
    while (!queue.empty()) {
      Room* room = queue.front();
      queue.erase(queue.begin());
      bool more = true;
      while (more) {
        const bool loads = room->must_load_code();
        if (!room->begin_call(call)) {
          break;
        }
        calls_that_load += loads ? 1 : 0;
        call.run();
        more = room->finish_call(call);
      }
      room->queued = Room::Queued::No;
    }
    written_over_ = std::exchange(received_, {});
    for (std::string& text : written_over_) {
      std::ranges::fill(text, '#');
    }
  }

  ManualClock& clock;
  io::TimerHeap timer_heap;
  InboxPool pool;
  OutputArena arena;
  Counters counter_set;
  NullLogger log;
  ServiceCall call{service::EffectLimits{}, *this};
  std::vector<Room*> queue;
  std::vector<Room*> ended_rooms;
  int ended = 0;
  int failed = 0;
  int fell_asleep = 0;
  int long_calls = 0;
  int calls_that_load = 0;
  std::move_only_function<bool(Room&)> keeps_asleep;  ///< None: rooms that sleep stay as they are.

 private:
  std::deque<std::string> received_;
  std::deque<std::string> written_over_;
};

// A shard over somebody's store.
class BasicShard : public BasicHost {
 public:
  BasicShard(store::Store& store, ManualClock& wall, store::Journal::Post post)
      : BasicHost(wall), shard_journal(store, std::move(post)) {}
  store::Journal* journal() override { return &shard_journal; }

  void run() {
    run_rooms();
    shard_journal.flush();
  }

  store::Journal shard_journal;
};

struct HasMemoryStore {
  store::MemoryStore store;
};

// A shard over a store in memory, in a process that can crash.
class FakeShard final : public HasMemoryStore, public BasicShard {
 public:
  explicit FakeShard(std::shared_ptr<store::MemoryDisk> disk, ManualClock& wall)
      : HasMemoryStore{store::MemoryStore(std::move(disk))},
        BasicShard(store, wall, [](std::move_only_function<void()> task) { task(); }) {}
  /// Until nothing is left to do.
  void settle() {
    run();
    while (store.commit_one()) {
      run();
    }
  }
};

struct FakeClient final : ClientLink {
  void admitted() override {
    in = true;
    heard.emplace_back("<in>");
  }
  void subprotocol_accepted(std::string_view name) override {
    heard.push_back("<subprotocol " + std::string(name) + ">");
  }
  void refused(std::string_view reason) override { heard.push_back("<refused " + std::string(reason) + ">"); }
  void room_failed() override { heard.emplace_back("<failed>"); }
  void push(Message& message) override {
    if (in) {  // As a session does.
      heard.emplace_back(message.payload);
    }
  }
  void close(std::uint16_t code, std::string_view) override {
    heard.push_back("<closed " + std::to_string(code) + ">");
  }
  void left() override { heard.emplace_back("<left>"); }
  void resume_reading() override {}
  void numbered(ClientId number) override { id = number; }
  void can_return(std::string_view token, const Telling&) override { resume = token; }
  void room_unknown() override { heard.emplace_back("<unknown>"); }
  void unavailable(std::string_view) override { heard.emplace_back("<unavailable>"); }

  Heard take() { return std::exchange(heard, {}); }
  Heard heard;
  std::string resume;
  ClientId id{};
  bool in = false;
};

}  // namespace jamsocket::room::testing

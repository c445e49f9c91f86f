// What is stored of a room against the memory that it had.

#include "room/verify.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "jamsocket/detail/native_service.hpp"
#include "jamsocket/service.hpp"
#include "jamsocket/state.hpp"
#include "room/records.hpp"
#include "service/native.hpp"

namespace jamsocket::room {
namespace {

using service::Event;
using service::EventKind;

// Adds up what is said; `from_elsewhere` is what a service must not have: something that no event says.
class Sum {
 public:
  static inline int from_elsewhere = 0;
  Sum(std::string_view /*room_id*/, Context& /*context*/) {}
  void message(ClientId /*client*/, std::string_view text, Context& /*context*/) {
    if (text == "throw") {
      throw std::runtime_error("no");
    }
    value_ += std::stoi(std::string(text)) + from_elsewhere;
  }
  void save(Writer& writer) const { writer.put(value_); }
  void load(Reader& reader) { reader.get(value_); }

 private:
  int value_ = 0;
};

std::unique_ptr<service::Service> make_sum() {
  return service::make_native_service("sum", detail::native_service_factory<Sum>());
}

Event said(std::uint64_t number, std::string_view text) {
  Event event;
  event.kind = EventKind::Text;
  event.payload = text;
  event.time_ms = 2;
  event.number = number;
  return event;
}

/// A room with three events.
struct Stored {
  std::unique_ptr<service::Service> service = make_sum();
  store::StoredRoom room;
  RoomSide side;

  Stored() {
    room.name = {.service = "sum", .id = "lobby"};
    room.birth = encode(Birth{.seed = {}, .time_ms = 1, .version = std::string(service->version())});
    side.last_time_ms = 1;
    for (const std::string_view text : {"1", "20", "300"}) {
      const Event event = said(room.tail.size() + 1, text);
      room.tail.push_back({.number = event.number, .timer_ms = 0, .bytes = encode(event, {})});
    }
    side.note(said(1, "1"), {});
    side.note(said(2, "20"), {});
  }
  // The room's checkpoint of event 2, as if its memory were `value`.
  [[nodiscard]] store::Checkpoint taken(int value, std::uint64_t number = 2) const {
    Writer writer;
    writer.put(value);
    return {.number = number,
            .timer_ms = 0,
            .bytes = encode(
                CheckpointParts{.side = side, .version = std::string(service->version()), .state = writer.bytes()})};
  }
  [[nodiscard]] Verification verify(const store::Checkpoint& checkpoint) const {
    return room::verify(room, checkpoint, *service, {});
  }
};

TEST(Verify, SaysNothingOfARoomThatIsWhatItsEventsMadeOfIt) {
  const Stored stored;
  const Verification done = stored.verify(stored.taken(21));
  EXPECT_EQ(done.verdict, Verdict::Same) << done.reason;
}

TEST(Verify, FindsMemoryThatNoEventLedTo) {
  const Stored stored;
  EXPECT_EQ(stored.verify(stored.taken(22)).verdict, Verdict::Differs);
  Sum::from_elsewhere = 5;
  const Verification done = stored.verify(stored.taken(21));
  Sum::from_elsewhere = 0;
  EXPECT_EQ(done.verdict, Verdict::Differs);
  EXPECT_NE(done.reason.find("the memory differs, first at byte"), std::string::npos) << done.reason;
}

TEST(Verify, FindsAnEventThatFailsWhenItIsRunAgain) {
  Stored stored;
  stored.room.tail[1].bytes = encode(said(2, "throw"), {});
  const Verification done = stored.verify(stored.taken(21));
  EXPECT_EQ(done.verdict, Verdict::Differs);
  EXPECT_NE(done.reason.find("event 2 went well when it happened"), std::string::npos) << done.reason;
}

TEST(Verify, FindsAnotherTimer) {
  Stored stored;
  stored.side.timer_ms = 7;
  EXPECT_EQ(stored.verify(stored.taken(21)).verdict, Verdict::Differs);
}

TEST(Verify, DoesNotGuessWhereEventsOrCodeAreMissing) {
  Stored stored;
  EXPECT_EQ(stored.verify(stored.taken(21, 9)).verdict, Verdict::Unknown);
  stored.room.birth = encode(Birth{.seed = {}, .time_ms = 1, .version = "another"});
  EXPECT_EQ(stored.verify(stored.taken(21)).verdict, Verdict::Unknown);
}

}  // namespace
}  // namespace jamsocket::room

// Rooms of modules: the ABI, what guests do wrong, and the limits.

#include "wasm/module_service.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "wasm/compiled_cache.hpp"
#include "wasm/engine_impl.hpp"
#include "wasm/testing.hpp"

namespace jamsocket::wasm {
namespace {

using service::EffectKind;
using service::Outcome;
using ::testing::ElementsAre;
using testing::example_bytes;
using testing::guest_bytes;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TestRoom;

class Rooms : public ::testing::Test {
 protected:
  TestRoom zoo(const ModuleLimits& limits = {}) { return {engine_, guest_bytes("zoo"), limits}; }

  Engine engine_;
};

TEST_F(Rooms, CountTogether) {
  TestRoom room(engine_, example_bytes("counter"));
  ASSERT_TRUE(room.started());
  EXPECT_EQ(room.connect(1), Outcome::Done);
  EXPECT_EQ(room.text("increment"), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("new value: 1"));
  EXPECT_EQ(room.text("increment", 2), Outcome::Done);
  EXPECT_EQ(room.text("decrement", 2), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("new value: 1"));
  EXPECT_EQ(room.effects.list()[0].recipient, Recipient(broadcast));
  EXPECT_EQ(room.effects.list()[0].kind, EffectKind::SendText);
  EXPECT_EQ(room.disconnect(1), Outcome::Done);
  EXPECT_EQ(room.timer(), Outcome::Done);
  EXPECT_EQ(room.binary("\x01"), Outcome::Done);
  EXPECT_THAT(room.texts(), IsEmpty());
}

// Goal: a thousand rooms of older code that come back at once cost one load of it. Method: some threads that want
// it, and code that is read once all of them are there.
class KeptElsewhere final : public service::Versions {
 public:
  explicit KeptElsewhere(std::string code) : code_(std::move(code)) {}
  [[nodiscard]] bool has(std::string_view) const override { return true; }
  [[nodiscard]] Result<std::string> code(std::string_view) override {
    const bool is_there = ++asked > 1;
    while (begun < awaited) {
      std::this_thread::yield();
    }
    return is_there ? Result<std::string>(code_) : fail(ErrorCode::Io, "not this time");
  }
  std::atomic<int> asked{0};
  std::atomic<int> awaited{0};
  std::atomic<int> begun{0};

 private:
  std::string code_;
};

TEST_F(Rooms, OfOlderCodeShareOneLoadOfIt) {
  const std::string code = example_bytes("counter");
  const std::string version = testing::loaded(engine_, code)->hash();
  const auto service = make_module_service("test", testing::loaded(engine_, example_bytes("echo")));
  KeptElsewhere kept(code);
  service->use_versions(kept);
  const service::RoomStart start{.room_id = "r", .version = version};
  service::Effects effects;
  EXPECT_THAT(service->create(start, effects).error().reason, HasSubstr("not this time"));
  EXPECT_TRUE(service->must_load(version));  // Failing once is not for ever.
  constexpr int kThreads = 4;
  kept.awaited = kThreads;
  {
    std::vector<std::jthread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        service::Effects own;
        ++kept.begun;
        EXPECT_TRUE(service->create(start, own));
      });
    }
  }
  EXPECT_EQ(kept.asked, 2);
  EXPECT_FALSE(service->must_load(version));
}

// A module that differs in nothing but its hash: behind its code there is a section that has this number's name only.
std::string variant_of(const std::string& code, char number) { return code + std::string{0, 2, 1, number}; }

class ManyVersions final : public service::Versions {
 public:
  [[nodiscard]] bool has(std::string_view version) const override { return codes.contains(version); }
  [[nodiscard]] Result<std::string> code(std::string_view version) override { return codes.find(version)->second; }
  std::map<std::string, std::string, std::less<>> codes;
};

class CountingCompiler final : public Compiler {
 public:
  explicit CountingCompiler(const Engine& engine) : engine_(engine) {}
  [[nodiscard]] Result<std::string> compile(std::string_view module, const EngineOptions&) const override {
    ++asked;
    return engine_.compile(module);
  }
  mutable int asked = 0;

 private:
  const Engine& engine_;
};

TEST_F(Rooms, OfOlderCodeHaveItForAsLongAsTheyNeedIt) {
  constexpr char kVersions = 20;  // More than are kept loaded without need.
  ManyVersions kept;
  std::vector<std::string> versions;
  for (char number = 0; number < kVersions; ++number) {
    std::string code = variant_of(example_bytes("counter"), static_cast<char>('a' + number));
    versions.push_back(sha256_hex({code}));
    kept.codes.emplace(versions.back(), std::move(code));
  }
  const auto compiler = std::make_shared<CountingCompiler>(engine_);
  const auto service = make_module_service("test", testing::loaded(engine_, example_bytes("echo")), {},
                                           {.cache_dir = {}, .compiler = compiler});
  service->use_versions(kept);
  service::Effects effects;
  const auto lives = service->create({.room_id = "r", .version = versions[0]}, effects);
  ASSERT_TRUE(lives);
  for (const std::string& version : versions) {
    EXPECT_TRUE(service->create({.room_id = "r", .version = version}, effects));
  }
  EXPECT_EQ(compiler->asked, kVersions) << "not by this process, and the first one once";
  EXPECT_FALSE(service->must_load(versions.front())) << "a room has it";
  EXPECT_TRUE(service->must_load(versions[1])) << "no room has it, and there is much";
  EXPECT_FALSE(service->must_load(versions.back())) << "it may be needed again soon";
}

TEST_F(Rooms, AreApart) {
  TestRoom one(engine_, example_bytes("counter"));
  TestRoom two(engine_, example_bytes("counter"));
  EXPECT_EQ(one.text("increment"), Outcome::Done);
  EXPECT_EQ(two.text("increment"), Outcome::Done);
  EXPECT_THAT(two.texts(), ElementsAre("new value: 1"));
}

TEST_F(Rooms, TakeLongMessages) {
  TestRoom room(engine_, example_bytes("counter"));
  const std::string long_text(std::size_t{1} << 20U, 'x');
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(room.text(long_text), Outcome::Done);  // Freed again, or the limit would be passed.
  }
  EXPECT_THAT(room.texts(), ElementsAre("new value: 0"));
}

TEST_F(Rooms, RunModulesOf2021) {
  TestRoom room(engine_, guest_bytes("command_2021"));
  ASSERT_TRUE(room.started()) << room.start_fault.reason;
  EXPECT_EQ(room.connect(1), Outcome::Done);
  EXPECT_EQ(room.text("increment"), Outcome::Done);
  EXPECT_EQ(room.text("increment"), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("value: 2"));
}

TEST_F(Rooms, InitializeOnceAndGetTheirId) {
  TestRoom room(engine_, guest_bytes("reactor"), {}, {.room_id = "caf\xc3\xa9"});
  EXPECT_THAT(room.start_effects, ElementsAre("1", "caf\xc3\xa9"));
  EXPECT_EQ(room.timer(), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("1"));
}

TEST_F(Rooms, DeliverEmptyMessagesWithoutAllocating) {
  TestRoom room = zoo();
  EXPECT_EQ(room.text("", 7), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre(""));
  EXPECT_EQ(room.effects.list()[0].recipient, Recipient(ClientId{7}));
}

TEST_F(Rooms, ReadRecipientsAsSigned) {
  TestRoom room = zoo();
  EXPECT_EQ(room.binary("\x01\x02", 5), Outcome::Done);
  EXPECT_EQ(room.effects.list()[0].recipient, Recipient(everyone_except(ClientId{5})));
  EXPECT_EQ(room.effects.list()[0].kind, EffectKind::SendBinary);
  EXPECT_THAT(room.texts(), ElementsAre("\x01\x02"));
}

TEST_F(Rooms, LearnOfAClientAndMayRefuseIt) {
  TestRoom room = zoo();
  const service::ConnectInfo info{.query = "key=1", .remote_address = "::1", .headers = {{"user-agent", "me"}}};
  EXPECT_EQ(room.connect(1, &info), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("key=1", "me"));
  EXPECT_EQ(room.connect(2), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre(""));  // Nothing is known of it.
  const service::ConnectInfo unwelcome{.query = "x", .remote_address = {}, .headers = {}};
  EXPECT_EQ(room.connect(3, &unwelcome), Outcome::Done);
  EXPECT_TRUE(room.effects.refused());
  const service::ConnectInfo long_query{.query = std::string(5000, 'q'), .remote_address = {}, .headers = {}};
  EXPECT_EQ(room.connect(4, &long_query), Outcome::Done);
  EXPECT_TRUE(room.effects.refused());
}

TEST_F(Rooms, CloseClients) {
  TestRoom room = zoo();
  EXPECT_EQ(room.text("K"), Outcome::Done);
  ASSERT_EQ(room.effects.list().size(), 1U);  // Of nobody, of an id that would mean others, of client 1.
  EXPECT_EQ(room.effects.list()[0].kind, EffectKind::Close);
  EXPECT_EQ(room.effects.list()[0].recipient, Recipient(ClientId{1}));
  EXPECT_EQ(room.effects.list()[0].close_code, 4000);
  EXPECT_THAT(room.texts(), ElementsAre("bye"));
}

TEST_F(Rooms, LogWhatTheyPrint) {
  TestRoom room = zoo();
  EXPECT_EQ(room.text("w"), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("hello", "wor"));
  EXPECT_EQ(room.effects.list()[0].kind, EffectKind::Log);
}

struct Crime {
  const char* letter;
  Outcome outcome;
  const char* words;
};

// Which limit it runs over, as an operator is told it.
std::optional<Counter> limit_of(const Crime& crime) {
  switch (crime.outcome) {
    case Outcome::CpuLimit:
      return Counter::LimitEventCpu;
    case Outcome::MemoryLimit:
      return Counter::LimitRoomMemory;
    case Outcome::EffectLimit:
      return *crime.letter == 'q' ? Counter::LimitSends : Counter::LimitSendBytes;
    default:
      return std::string_view(crime.words) == "stack is full (limits.room_stack_bytes_max)"
                 ? std::optional(Counter::LimitRoomStack)
                 : std::nullopt;
  }
}

class Crimes : public Rooms, public ::testing::WithParamInterface<Crime> {};

// Goal: each ends with its outcome and sentence, and the next room knows nothing of it.
TEST_P(Crimes, EndTheRoomAndNothingElse) {
  // Under a sanitizer the other limits may need more CPU time to be reached than an event has.
  ModuleLimits limits;
  if (GetParam().outcome != Outcome::CpuLimit) {
    limits.cpu_per_event = std::chrono::minutes{1};
  }
  TestRoom canary = zoo();
  TestRoom room = zoo(limits);
  ASSERT_EQ(room.text(GetParam().letter), GetParam().outcome) << room.fault().reason;
  EXPECT_THAT(room.fault().reason, HasSubstr(GetParam().words));
  EXPECT_THAT(room.fault().reason, ::testing::Not(HasSubstr("\n")));
  EXPECT_EQ(room.fault().limit, limit_of(GetParam()));
  room.drop_instance();
  EXPECT_EQ(canary.text("T"), Outcome::Done);
  TestRoom fresh = zoo();
  EXPECT_EQ(fresh.text("T"), Outcome::Done);
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, Crimes,
    ::testing::Values(
        Crime{"u", Outcome::Trap, "unreachable"}, Crime{"d", Outcome::Trap, "divided an integer by zero"},
        Crime{"v", Outcome::Trap, "overflowed"}, Crime{"c", Outcome::Trap, "fits no integer"},
        Crime{"o", Outcome::Trap, "outside its memory"}, Crime{"O", Outcome::Trap, "outside its memory"},
        Crime{"B", Outcome::Trap, "outside its memory"},
        Crime{"C", Outcome::Trap, "conversion in the guest overflowed"},
        Crime{"W", Outcome::EffectLimit, "send_binary: over the limit"}, Crime{"t", Outcome::Trap, "table entry"},
        Crime{"n", Outcome::Trap, "null function pointer"}, Crime{"s", Outcome::Trap, "another type"},
        Crime{"r", Outcome::Trap, "stack is full (limits.room_stack_bytes_max)"},
        Crime{"l", Outcome::CpuLimit, "100 ms of CPU time"}, Crime{"L", Outcome::CpuLimit, "100 ms of CPU time"},
        Crime{"f", Outcome::CpuLimit, "100 ms of CPU time"}, Crime{"g", Outcome::MemoryLimit, "limit is 64 MiB"},
        Crime{"h", Outcome::BadCall, "send_message: 32 bytes at 4294967280 are outside the memory of 131072 bytes"},
        Crime{"H", Outcome::BadCall, "send_binary: 2147483648 bytes at 0 are outside"},
        Crime{"E", Outcome::BadCall, "send_message: 1 bytes at 131072 are outside"},
        Crime{"x", Outcome::BadCall, "not valid UTF-8"},
        Crime{"q", Outcome::EffectLimit, "send_message: over the limit"},
        Crime{"b", Outcome::EffectLimit, "send_binary: over the limit"},
        Crime{"m", Outcome::BadCall, "refuse was called outside connect"},
        Crime{"k", Outcome::BadCall, "a code other than"}, Crime{"i", Outcome::BadCall, "no level 9"},
        Crime{"z", Outcome::Trap, "proc_exit(3)"}, Crime{"a", Outcome::Trap, "aborted: oops! (at unknown:7:9)"},
        Crime{"p", Outcome::BadCall, "2097152 bytes were asked for"}, Crime{"y", Outcome::CpuLimit, "CPU time"},
        Crime{"j", Outcome::Trap, "stack is full (limits.room_stack_bytes_max)"},
        Crime{"F", Outcome::CpuLimit, "100 ms of CPU time"}, Crime{"S", Outcome::CpuLimit, "100 ms of CPU time"}),
    [](const auto& test) { return std::string("Case") + std::to_string(test.index) + "_" + test.param.letter; });

TEST_F(Rooms, AllowARangeOfNothingAtTheEndOfMemory) {
  TestRoom room = zoo();
  EXPECT_EQ(room.text("e"), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre(""));
}

TEST_F(Rooms, AnswerMinusOneWhenMemoryCannotGrow) {
  TestRoom room = zoo();
  EXPECT_EQ(room.text("G"), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("refused"));
  EXPECT_EQ(room.text("u"), Outcome::Trap);  // Of this event, memory is not the cause.
}

TEST_F(Rooms, KeepToASmallerLimitOfMemory) {
  ModuleLimits limits;
  limits.memory_bytes_max = std::size_t{1} << 20U;
  TestRoom room = zoo(limits);
  EXPECT_EQ(room.text("g"), Outcome::MemoryLimit);
  EXPECT_THAT(room.fault().reason, HasSubstr("limit is 1 MiB"));
  TestRoom counter(engine_, example_bytes("counter"), limits);
  EXPECT_EQ(counter.text(std::string(1'000'000, 'x')), Outcome::MemoryLimit);
  EXPECT_THAT(counter.fault().reason, HasSubstr("1000000 bytes"));
  limits.memory_bytes_max = std::size_t{64} << 10U;
  TestRoom too_small = zoo(limits);
  EXPECT_FALSE(too_small.started());
  EXPECT_EQ(too_small.start_fault.outcome, Outcome::MemoryLimit);
}

TEST_F(Rooms, SurviveAllocatorsThatLie) {
  TestRoom null = zoo();
  EXPECT_EQ(null.text(std::string(60'001, 'x')), Outcome::BadCall);
  EXPECT_THAT(null.fault().reason, HasSubstr("allocator answered 0 for 60001 bytes"));

  for (const std::string_view answer : {std::string_view("\x41\xfc\xff\x03", 4), std::string_view("\x41\x7c", 2)}) {
    testing::ModuleBuilder builder = testing::ModuleBuilder::service("jam_malloc");
    builder.export_function("jam_malloc", "i", "i", answer);  // 65,532, and -4
    builder.export_function("message", "iii", "");
    TestRoom room(engine_, builder.build(), {}, {.room_id = ""});
    ASSERT_TRUE(room.started());
    EXPECT_EQ(room.text("12345"), Outcome::BadCall);
  }
  testing::ModuleBuilder traps = testing::ModuleBuilder::service("jam_malloc");
  traps.export_function("jam_malloc", "i", "i", std::string_view("\0", 1));
  TestRoom room(engine_, traps.build());
  EXPECT_FALSE(room.started());
  EXPECT_EQ(room.start_fault.outcome, Outcome::Trap);

  testing::ModuleBuilder calls_back = testing::ModuleBuilder::service("jam_malloc", 1, 0, "send_message");
  calls_back.export_function("jam_malloc", "i", "i", std::string_view("\x41\0\x41\0\x41\0\x10\0\x41\x80\x08", 11));
  calls_back.export_function("message", "iii", "");
  TestRoom chatty(engine_, calls_back.build());
  ASSERT_TRUE(chatty.started());
  EXPECT_EQ(chatty.text("12345"), Outcome::Done);
  EXPECT_THAT(chatty.texts(), ElementsAre("")) << "what it asked for in its allocator counts like all else";
}

// A buffer of 16 bytes at 512: arguments that fit lie there, and the allocator, which traps, is asked for the others
// only.
testing::ModuleBuilder with_argument_buffer(std::string_view address_and_length) {
  testing::ModuleBuilder builder = testing::ModuleBuilder::service("jam_malloc");
  builder.export_function("jam_malloc", "i", "i", std::string_view("\0", 1));
  // Traps unless the pointer is 512 and what it points to begins with '0'.
  builder.export_function(
      "message", "iii", "",
      std::string_view("\x20\1\x41\x80\4\x47\4\x40\0\x0b\x20\1\x2d\0\0\x41\x30\x47\4\x40\0\x0b", 22));
  builder.export_entry("JAMSOCKET_ARGUMENTS", 3, builder.global_i32(0, "\x20"));
  builder.data("\x20", address_and_length);
  return builder;
}

TEST_F(Rooms, TakeArgumentsWhereTheyWantThem) {
  const std::string module = with_argument_buffer({"\0\2\0\0\x10\0\0\0", 8}).build();
  TestRoom room(engine_, module, {}, {.room_id = "sixteen bytes..."});
  ASSERT_TRUE(room.started()) << room.start_fault.reason;
  EXPECT_EQ(room.text("0123456789abcdef"), Outcome::Done);
  EXPECT_EQ(room.text("0"), Outcome::Done);
  EXPECT_EQ(room.text("0123456789abcdefg"), Outcome::Trap);
  EXPECT_EQ(room.fault().backtrace, "function 2\n");  // The allocator.
}

TEST_F(Rooms, CannotHaveArgumentsOutsideTheirMemory) {
  // One byte too long, and 4 GiB that would wrap.
  for (const std::string_view place :
       {std::string_view("\xf1\xff\0\0\x10\0\0\0", 8), {"\0\2\0\0\xff\xff\xff\xff", 8}}) {
    const auto module = engine_.load_bytes(with_argument_buffer(place).build(), {});
    ASSERT_FALSE(module.has_value());
    EXPECT_THAT(module.error().message, HasSubstr("JAMSOCKET_ARGUMENTS is not the address of"));
  }
}

TEST_F(Rooms, TellWhereTheyTrapped) {
  TestRoom room = zoo();
  EXPECT_EQ(room.text("u"), Outcome::Trap);
  EXPECT_EQ(room.fault().backtrace, "traps\nmessage\n");
  TestRoom looping = zoo();
  EXPECT_EQ(looping.text("l"), Outcome::CpuLimit);
  EXPECT_EQ(looping.fault().backtrace, "loops\nmessage\n");
  TestRoom lying = zoo();
  EXPECT_EQ(lying.text("h"), Outcome::BadCall);
  EXPECT_EQ(lying.fault().backtrace, "lies\nmessage\n");
  TestRoom deep = zoo();
  EXPECT_EQ(deep.text("r"), Outcome::Trap);
  EXPECT_THAT(deep.fault().backtrace, HasSubstr("recurse\nrecurse\n"));
}

TEST_F(Rooms, DoNotStartWhenInitializeFails) {
  TestRoom trap(engine_, guest_bytes("init_trap"));
  EXPECT_FALSE(trap.started());
  EXPECT_EQ(trap.start_fault.outcome, Outcome::Trap);
  EXPECT_EQ(trap.start_fault.backtrace, "give_up\ninit\n");
  TestRoom loop(engine_, guest_bytes("init_loop"));
  EXPECT_FALSE(loop.started());
  EXPECT_EQ(loop.start_fault.outcome, Outcome::CpuLimit);
}

TEST_F(Rooms, EndAtTheWallTimeToo) {
  ModuleLimits limits;
  limits.cpu_per_event = std::chrono::minutes{10};
  limits.wall_per_event = std::chrono::milliseconds{20};
  TestRoom room = zoo(limits);
  EXPECT_EQ(room.text("l"), Outcome::CpuLimit);
  EXPECT_THAT(room.fault().reason, HasSubstr("ran for more than 20 ms"));
  EXPECT_EQ(room.fault().limit, Counter::LimitEventWall);
}

// Goal: a ticker that has gone to sleep wakes for the next event. Method: one room runs for longer than
// the ticker's patience, and after a pause in which none runs another must be ended as well.
TEST_F(Rooms, AreEndedHoweverLongOrRarelyTheyRun) {
  ModuleLimits limits;
  limits.cpu_per_event = std::chrono::milliseconds{300};
  TestRoom busy = zoo(limits);
  EXPECT_EQ(busy.text("l"), Outcome::CpuLimit);
  TestRoom room = zoo();
  while (!engine_.impl().ticker.asleep()) {
    std::this_thread::yield();
  }
  EXPECT_EQ(room.text("l"), Outcome::CpuLimit);
}

// Goal: the ticks are exact when somebody asks for that, and no longer than needed.
TEST_F(Rooms, HaveExactTicksOnlyWhileOneRunsLong) {
  wasm::Ticker& ticker = engine_.impl().ticker;
  do {
    ticker.expect_exact_ticks();
  } while (!ticker.exact());
  while (ticker.exact()) {
    std::this_thread::yield();
  }
}

// Goal: a room is a function of its seed and events. Method: the same ones twice, and one thing changed.
TEST_F(Rooms, DrawTimeAndRandomnessFromTheEvent) {
  const auto story = [&](std::byte seed, std::int64_t time_ms) {
    service::RoomStart start{.room_id = "r"};
    start.seed.fill(seed);
    TestRoom room(engine_, guest_bytes("zoo"), {}, start);
    room.time_ms = time_ms;
    std::string all;
    for (const char* const letter : {"R", "R", "T", "N"}) {
      EXPECT_EQ(room.text(letter), Outcome::Done);
      all += room.texts().at(0);
    }
    return all;
  };
  const std::string first = story(std::byte{1}, 1'700'000'000'123);
  EXPECT_EQ(first, story(std::byte{1}, 1'700'000'000'123));
  EXPECT_NE(first.substr(0, 16), first.substr(16, 16));
  EXPECT_NE(first.substr(0, 16), story(std::byte{2}, 1'700'000'000'123).substr(0, 16));
  std::int64_t time_ms = 0;
  std::memcpy(&time_ms, first.data() + 32, sizeof time_ms);
  EXPECT_EQ(time_ms, 1'700'000'000'123);
  EXPECT_EQ(first.substr(40), std::string("\0\0\xc0\x7f", 4));  // The canonical NaN: the payload is gone.
}

// Goal: a room never sees another's memory. Method: each fills what it may, dies, and the next looks.
TEST_F(Rooms, StartWithZeroedMemory) {
  const auto probes = testing::loaded(engine_, guest_bytes("zoo"));
  const auto others = testing::loaded(engine_, guest_bytes("command_2021"));
  for (int i = 0; i < 5'000; ++i) {
    TestRoom room(make_module_service("zoo", probes));
    ASSERT_EQ(room.text("M"), Outcome::Done) << i;
    TestRoom other(make_module_service("other", others));
    ASSERT_EQ(other.text("x"), Outcome::Done);
  }
  EXPECT_EQ(engine_.live_memories(), 0U);
}

TEST_F(Rooms, KeepTheirTablesWithinTheLimit) {
  ModuleLimits limits;
  limits.table_elements_max = 70'000;
  TestRoom room(engine_, guest_bytes("tables"), limits);
  EXPECT_EQ(room.text("e"), Outcome::Done);
  EXPECT_EQ(room.text("g"), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("refused"));
  EXPECT_EQ(room.text("c"), Outcome::CpuLimit);
  TestRoom other(engine_, guest_bytes("tables"), limits);
  EXPECT_EQ(other.text("f"), Outcome::CpuLimit);
  limits.table_elements_max = 65'535;
  TestRoom none(engine_, guest_bytes("tables"), limits);
  EXPECT_FALSE(none.started()) << "it starts with one more";
}

// The answers are those of the specification's tests.
TEST_F(Rooms, ComputeAsTheSpecificationSays) {
  TestRoom room(engine_, guest_bytes("arithmetic"));
  ASSERT_EQ(room.text("x"), Outcome::Done);
  ASSERT_EQ(room.texts().size(), 1U);
  const std::string answer = room.texts().front();
  ASSERT_EQ(answer.size(), 96U);
  const auto number = [&answer](std::size_t index) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, answer.data() + index * sizeof bits, sizeof bits);
    return bits;
  };
  const auto real = [&number](std::size_t index) { return std::bit_cast<double>(number(index)); };
  EXPECT_EQ(real(0), -1.0);
  EXPECT_EQ(real(1), 1.0);
  EXPECT_EQ(number(2), std::uint64_t{1} << 63U) << "minus zero";
  EXPECT_EQ(real(3), 2.0);
  EXPECT_EQ(number(4), std::uint64_t{1} << 63U);
  EXPECT_EQ(number(5), 7U);
  EXPECT_EQ(number(6), 0x0f0e0d0c0b0a0908U);
  EXPECT_EQ(number(7), 0x5424U);
  EXPECT_EQ(number(8), 0x7060504030201000U);
  EXPECT_EQ(number(9), 0xfffeU);
  EXPECT_EQ(real(10), -1.0);
  EXPECT_EQ(number(11), 13'331'620U);
}

// The engine's handlers take faults of guests, and no others: a fault of ours still ends the process.
TEST_F(Rooms, DoNotHideFaultsOfTheHost) {
  TestRoom room = zoo();
  EXPECT_EQ(room.text("o"), Outcome::Trap) << "a guest's is a trap";
  EXPECT_EXIT(
      {
        const std::atomic<std::uintptr_t> nowhere = 64;  // Atomic: not known to the compiler.
        // NOLINTNEXTLINE(performance-no-int-to-ptr): an address where nothing is.
        reinterpret_cast<std::atomic<int>*>(nowhere.load())->store(1);
      },
      ::testing::KilledBySignal(SIGSEGV), "");
}

// The engine gives each thread a stack for signals and unmaps it when the thread ends. Whoever else does so (a
// sanitizer) unmaps it twice, and with it what another thread has mapped in between.
TEST_F(Rooms, RunOnThreadsThatHaveNoSignalStackOfAnybodyElse) {
  stack_t before{};
  stack_t during{};
  std::thread([this, &before, &during] {
    ASSERT_EQ(::sigaltstack(nullptr, &before), 0);
    TestRoom room = zoo();
    EXPECT_EQ(room.text("o"), Outcome::Trap);
    ASSERT_EQ(::sigaltstack(nullptr, &during), 0);
  }).join();
  EXPECT_EQ(before.ss_flags, SS_DISABLE);
  EXPECT_EQ(during.ss_flags, 0);
}

TEST_F(Rooms, FinishAnotherWayOnAnotherThread) {
  TestRoom room = zoo();
  Outcome outcome = Outcome::Trap;
  std::thread([&] { outcome = room.text("R"); }).join();
  EXPECT_EQ(outcome, Outcome::Done);
  std::thread([&] { outcome = room.text("u"); }).join();
  EXPECT_EQ(outcome, Outcome::Trap);
}

}  // namespace
}  // namespace jamsocket::wasm

// What may be loaded, and the sentence for what may not.

#include <gmock/gmock.h>

#include <algorithm>
#include <utility>

#include "wasm/module.hpp"
#include "wasm/testing.hpp"

namespace jamsocket::wasm {
namespace {

using testing::guest_bytes;
using ::testing::HasSubstr;
using testing::ModuleBuilder;

constexpr std::string_view kHeader("\0asm\1\0\0\0", 8);

class Load : public ::testing::Test {
 protected:
  void expect_refused(std::string_view bytes, ErrorCode code, const std::string& words) {
    const auto module = engine_.load_bytes(bytes, {});
    ASSERT_FALSE(module.has_value()) << words;
    EXPECT_EQ(module.error().code, code) << module.error().message;
    EXPECT_THAT(module.error().message, HasSubstr(words));
    EXPECT_THAT(module.error().message, ::testing::Not(HasSubstr("\n")));
  }

  Engine engine_;
};

TEST_F(Load, TakesAServiceThatDoesNothing) {
  const auto module = engine_.load_bytes(ModuleBuilder::service().build(), {});
  ASSERT_TRUE(module.has_value()) << module.error().message;
  EXPECT_EQ((*module)->facts().abi, Abi::Jamsocket);
  EXPECT_EQ((*module)->facts().version, kAbiVersion);
  EXPECT_EQ((*module)->hash().size(), 64U);
}

TEST_F(Load, RefusesWhatIsNotAModule) {
  expect_refused("", ErrorCode::Malformed, "empty");
  expect_refused("hello, this is text", ErrorCode::Malformed, "not a WebAssembly module");
  expect_refused("GIF89a", ErrorCode::Malformed, "not a WebAssembly module");
  expect_refused(std::string_view("\0as", 3), ErrorCode::Malformed, "cut short");
  expect_refused(std::string_view("\0asm\1\0", 6), ErrorCode::Malformed, "cut short");
  expect_refused(std::string_view("\0asm\2\0\0\0", 8), ErrorCode::Unsupported, "version of WebAssembly other than 1");
  expect_refused(std::string_view("\0asm\x0d\0\1\0", 8), ErrorCode::Unsupported, "component");
  expect_refused(
      "\x7f"
      "ELF\2\1\1",
      ErrorCode::Unsupported, ".cwasm");
  expect_refused(kHeader, ErrorCode::InvalidArgument, "not a service");
}

TEST_F(Load, RefusesEveryPrefixOfAModule) {
  const std::string whole = guest_bytes("zoo");
  ASSERT_TRUE(engine_.load_bytes(whole, {}).has_value());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto module = engine_.load_bytes(std::string_view(whole).substr(0, size), {});
    // Custom sections (names) stand at the end, and a module may lack them.
    if (module.has_value()) {
      EXPECT_GT(size, whole.find("name") - 8) << size;
    } else {
      EXPECT_FALSE(module.error().message.empty());
    }
  }
}

TEST_F(Load, SurvivesEveryChangedByte) {
  const std::string whole = guest_bytes("reactor");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      std::string bent = whole;
      bent[at] = static_cast<char>(static_cast<unsigned char>(bent[at]) ^ flip);
      const auto module = engine_.load_bytes(bent, {});  // Any answer, no crash.
      if (!module) {
        EXPECT_FALSE(module.error().message.empty());
      }
    }
  }
}

TEST_F(Load, RefusesSectionsOutOfOrderAndCountsThatLie) {
  ModuleBuilder twice = ModuleBuilder::service();
  twice.raw_section(1, std::string_view("\0", 1));
  expect_refused(twice.build(), ErrorCode::Malformed, "type section is out of order");
  ModuleBuilder unknown = ModuleBuilder::service();
  unknown.raw_section(77, "x");
  expect_refused(unknown.build(), ErrorCode::Unsupported, "unknown kind 77");
  const std::string many_types = std::string(kHeader) + "\x01\x05\xff\xff\xff\xff\x0f";
  expect_refused(many_types, ErrorCode::TooLarge, "more than 100000 types");
  const std::string leb_without_end = std::string(kHeader) + "\x01\x05\xff\xff\xff\xff\xff";
  expect_refused(leb_without_end, ErrorCode::Malformed, "type section");
}

TEST_F(Load, NamesAMissingExport) {
  for (const std::string name :
       {"memory", "initialize", "jam_malloc", "jam_free", "JAMSOCKET_API_VERSION", "JAMSOCKET_API_PROTOCOL"}) {
    expect_refused(ModuleBuilder::service(name).build(), ErrorCode::InvalidArgument, name);
  }
}

TEST_F(Load, NamesAWrongSignature) {
  ModuleBuilder builder = ModuleBuilder::service();
  builder.export_function("message", "ii", "");
  expect_refused(builder.build(), ErrorCode::InvalidArgument,
                 "message has the type (i32, i32); it must be (i32, i32, i32)");

  ModuleBuilder not_a_function = ModuleBuilder::service();
  not_a_function.export_entry("connect", 3, 0);
  expect_refused(not_a_function.build(), ErrorCode::InvalidArgument, "connect is a global; it must be a function");

  ModuleBuilder memory_is_function = ModuleBuilder::service("memory");
  memory_is_function.export_function("memory", "", "");
  expect_refused(memory_is_function.build(), ErrorCode::InvalidArgument, "memory is a function");

  ModuleBuilder answers = ModuleBuilder::service("jam_free");
  answers.export_function("jam_free", "ii", "i", std::string("\x41\x00", 2));
  expect_refused(answers.build(), ErrorCode::InvalidArgument,
                 "jam_free has the type (i32, i32) -> i32; it must be (i32, i32)");
}

TEST_F(Load, NamesAnUnknownImport) {
  ModuleBuilder unknown = ModuleBuilder::service();
  unknown.import_function("env", "launch", "ii", "");
  expect_refused(unknown.build(), ErrorCode::InvalidArgument,
                 "env.launch, which this server does not have (docs/abi.md lists what it has)");

  // Names that no author wrote: AssemblyScript's own.
  for (const auto& [name, instead] : {std::pair("seed", "jamsocket.random"), std::pair("Date.now", "jamsocket.now"),
                                      std::pair("console.log", "jamsocket.log"), std::pair("trace", "jamsocket.log")}) {
    ModuleBuilder script = ModuleBuilder::service();
    script.import_function("env", name, "i", "");
    expect_refused(script.build(), ErrorCode::InvalidArgument, instead);
  }

  ModuleBuilder bent = ModuleBuilder::service();
  bent.import_function("env", "send_message", "ii", "");
  expect_refused(bent.build(), ErrorCode::InvalidArgument,
                 "env.send_message with the type (i32, i32); its type is (i32, i32, i32)");

  ModuleBuilder global = ModuleBuilder::service();
  global.import("env", "secret", std::string_view("\3\x7f\0", 3));
  expect_refused(global.build(), ErrorCode::InvalidArgument, "only functions can be imported");

  ModuleBuilder memory;
  memory.import("env", "memory", std::string_view("\2\0\1", 3));
  memory.export_function("initialize", "ii", "");
  expect_refused(memory.build(), ErrorCode::InvalidArgument, "imports its memory (env.memory); it must define its own");
}

TEST_F(Load, TakesEveryWasiFunction) {
  ModuleBuilder builder;  // Imports come first in the index space, so the service is put together by hand.
  builder.import_function("wasi_snapshot_preview1", "path_open", "iiiiiIIii", "i");
  builder.import_function("wasi_snapshot_preview1", "sock_send", "iiiii", "i");
  builder.import_function("wasi_snapshot_preview1", "poll_oneoff", "iiii", "i");
  builder.import_function("wasi_snapshot_preview1", "fd_readdir", "iiiIi", "i");
  builder.memory(std::string("\0\1", 2));
  builder.export_entry("memory", 2, 0);
  builder.export_entry("JAMSOCKET_API_VERSION", 3, builder.global_i32(0, "\x10"));
  builder.export_entry("JAMSOCKET_API_PROTOCOL", 3, builder.global_i32(0, "\x14"));
  builder.data("\x10", std::string("\1\0\0\0\0\0\0\0", 8));
  builder.export_function("initialize", "ii", "");
  builder.export_function("jam_malloc", "i", "i", std::string("\x41\x80\x08", 3));
  builder.export_function("jam_free", "ii", "");
  const auto module = engine_.load_bytes(builder.build(), {});
  EXPECT_TRUE(module.has_value()) << module.error().message;
}

TEST_F(Load, RefusesOtherVersions) {
  expect_refused(ModuleBuilder::service("", 2, 0).build(), ErrorCode::Unsupported, "speaks version 2, protocol 0");
  expect_refused(ModuleBuilder::service("", 1, 1).build(), ErrorCode::Unsupported, "speaks version 1, protocol 1");
  expect_refused(ModuleBuilder::service("", 0, 0).build(), ErrorCode::Unsupported,
                 "this server speaks version 1, protocol 0");

  ModuleBuilder outside = ModuleBuilder::service("JAMSOCKET_API_VERSION");
  outside.export_entry("JAMSOCKET_API_VERSION", 3, outside.global_i32(0, "\x7f"));  // -1: the last byte of 4 GiB
  expect_refused(outside.build(), ErrorCode::InvalidArgument, "JAMSOCKET_API_VERSION is not the address of a number");
}

TEST_F(Load, RefusesMemoriesThatCannotBe) {
  ModuleBuilder builder;
  builder.memory(std::string("\0", 1) + testing::leb(65536));  // 4 GiB at once
  builder.export_entry("memory", 2, 0);
  builder.export_entry("JAMSOCKET_API_VERSION", 3, builder.global_i32(0, "\x10"));
  builder.export_entry("JAMSOCKET_API_PROTOCOL", 3, builder.global_i32(0, "\x14"));
  builder.export_function("initialize", "ii", "");
  builder.export_function("jam_malloc", "i", "i", std::string("\x41\x80\x08", 3));
  builder.export_function("jam_free", "ii", "");
  expect_refused(builder.build(), ErrorCode::TooLarge, "65536 pages of memory; a room may have 1024 (64 MiB)");

  ModuleBuilder table = ModuleBuilder::service();
  table.table(std::string("\0", 1) + testing::leb(100'001));
  expect_refused(table.build(), ErrorCode::TooLarge, "a table of 100001 elements; a room may have 100000");

  ModuleBuilder crossed = ModuleBuilder::service();
  crossed.memory(std::string("\1\5\2", 3));
  expect_refused(crossed.build(), ErrorCode::Malformed, "maximum of 2 below its minimum of 5");
  ModuleBuilder two = ModuleBuilder::service();
  two.memory(std::string("\0\1", 2));
  expect_refused(two.build(), ErrorCode::InvalidArgument, "several memories");
  ModuleBuilder wide = ModuleBuilder::service();
  wide.memory(std::string("\4\1", 2));
  expect_refused(wide.build(), ErrorCode::InvalidArgument, "several memories");
}

TEST_F(Load, RefusesCodeThatDoesNotValidate) {
  ModuleBuilder builder = ModuleBuilder::service();
  builder.export_function("timer", "", "", "\x6a");  // i32.add of nothing
  expect_refused(builder.build(), ErrorCode::Malformed, "the module is not valid: ");
}

TEST_F(Load, RefusesDataOutsideMemory) {
  ModuleBuilder builder = ModuleBuilder::service();
  builder.data(std::string("\xff\xff\x03", 3), "ab");  // 65,535: the second byte is outside
  expect_refused(builder.build(), ErrorCode::GuestFault, "cannot be started");
}

TEST_F(Load, RefusesStartFunctionsThatDoNotReturn) {
  expect_refused(guest_bytes("start_trap"), ErrorCode::GuestFault, "unreachable");
  expect_refused(guest_bytes("start_loop"), ErrorCode::GuestFault, "100 ms of CPU time");
  EXPECT_EQ(engine_.live_memories(), 0U);
}

TEST_F(Load, RefusesLargeFiles) {
  const std::string large(kModuleBytesMax + 1, '\0');
  expect_refused(large, ErrorCode::TooLarge, "at most 33554432");
}

TEST_F(Load, NamesTheFile) {
  const auto missing = engine_.load_file("/nonexistent/room.wasm", {});
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::InvalidArgument);
  EXPECT_THAT(missing.error().message, HasSubstr("/nonexistent/room.wasm"));
  EXPECT_EQ(engine_.load_file("/", {}).error().code, ErrorCode::InvalidArgument);
}

TEST_F(Load, AdvisesAgainstCommands) {
  const ModuleFacts facts = inspect(guest_bytes("command_2021"));
  EXPECT_TRUE(facts.problems.empty());
  ASSERT_FALSE(facts.advice.empty());
  EXPECT_THAT(facts.advice.front(), HasSubstr("WASI command"));
  EXPECT_EQ(facts.memory_pages_min, 17U);
  EXPECT_TRUE(facts.has_names);
}

TEST_F(Load, InspectsWithoutRunning) {
  const ModuleFacts facts = inspect(testing::example_bytes("counter"));
  EXPECT_EQ(facts.abi, Abi::Jamsocket);
  EXPECT_FALSE(facts.version.has_value());
  EXPECT_TRUE(facts.problems.empty());
  EXPECT_TRUE(std::ranges::all_of(facts.imports, &ImportFact::known));
  const ModuleFacts running = inspect_running(engine_, testing::example_bytes("counter"));
  EXPECT_EQ(running.version, kAbiVersion);
  EXPECT_FALSE(inspect("nonsense").problems.empty());
  EXPECT_FALSE(inspect_running(engine_, guest_bytes("start_trap")).problems.empty());
}

}  // namespace
}  // namespace jamsocket::wasm

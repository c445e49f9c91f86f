#include "wasm/rewrite.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "wasm/code_scan.hpp"
#include "wasm/engine_api.hpp"
#include "wasm/engine_impl.hpp"
#include "wasm/guest.hpp"
#include "wasm/testing.hpp"

namespace jamsocket::wasm {
namespace {

using ::testing::ElementsAre;
using testing::guest_bytes;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ModuleBuilder;

ModuleLayout layout_of(std::string_view bytes) {
  auto layout = read_layout(bytes);
  EXPECT_TRUE(layout.has_value()) << layout.error().message;
  return layout.value_or(ModuleLayout{});
}

std::string rewritten(std::string_view bytes) {
  auto module = export_mutable_globals(bytes, layout_of(bytes));
  EXPECT_TRUE(module.has_value());
  return module->bytes;
}

::testing::AssertionResult is_valid(const Engine& engine, std::string_view bytes) {
  const ErrorHandle error(wasmtime_module_validate(engine.impl().engine.get(),
                                                   reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  return error == nullptr ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << message_of(*error);
}

std::vector<std::string> all_modules() {
  std::vector<std::string> paths;
  for (const char* const folder : {JAMSOCKET_GUESTS_DIR, JAMSOCKET_EXAMPLES_DIR, JAMSOCKET_SDK_DIR}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".wasm") {
        paths.push_back(entry.path().string());
      }
    }
  }
  std::ranges::sort(paths);
  return paths;
}

// Goal: every mutable global is exported, and all else is as it was. Method: every guest there is, of
// every toolchain; cut the export sections out of both and compare the rest.
TEST(Rewrite, ExportsEveryMutableGlobalAndChangesNothingElse) {
  const Engine engine;
  const std::vector<std::string> paths = all_modules();
  ASSERT_GE(paths.size(), 10U);
  for (const std::string& path : paths) {
    const std::string before = testing::read_file(path);
    const std::string after = rewritten(before);
    EXPECT_TRUE(is_valid(engine, after)) << path;
    const ModuleLayout old_layout = layout_of(before);
    const ModuleLayout new_layout = layout_of(after);
    const auto mutable_globals =
        static_cast<std::size_t>(std::ranges::count_if(old_layout.globals, [](const GlobalType& global) {
          return global.is_mutable && global.type != ValueType::FuncRef;
        }));
    std::size_t exported = 0;
    for (const Export& entry : new_layout.exports) {
      exported += entry.kind == ExternKind::Global && new_layout.global_type(entry.index)->is_mutable ? 1U : 0U;
    }
    EXPECT_EQ(exported, mutable_globals) << path;
    const auto rest = [](std::string_view bytes, const ModuleLayout& layout) {
      std::string text;
      for (const SectionRange& section : layout.sections) {
        if (section.id != kSectionExport) {
          text += bytes.substr(section.begin, section.end - section.begin);
        }
      }
      return text;
    };
    EXPECT_EQ(rest(before, old_layout), rest(after, new_layout)) << path;
    EXPECT_EQ(rewritten(after), after) << path;  // Nothing is left to do.
  }
}

TEST(Rewrite, KnowsWhatToolchainsMake) {
  const auto globals_of = [](const std::string& bytes) {
    return export_mutable_globals(bytes, layout_of(bytes)).value().globals.size();
  };
  EXPECT_EQ(globals_of(testing::example_bytes("counter")), 1U);  // The stack pointer.
  EXPECT_EQ(globals_of(guest_bytes("command_2021")), 1U);
  const std::string assembly_script = JAMSOCKET_SDK_DIR "/counter_assemblyscript.wasm";
  if (std::filesystem::exists(assembly_script)) {
    EXPECT_GT(globals_of(testing::read_file(assembly_script)), 5U);
  }
}

TEST(Rewrite, CountsImportedGlobalsInIndexesAndKeepsNames) {
  const std::string bytes = guest_bytes("globals");
  const auto module = export_mutable_globals(bytes, layout_of(bytes));
  ASSERT_TRUE(module.has_value());
  std::vector<std::string> names;
  for (const CapturableGlobal& global : module->globals) {
    names.push_back(global.export_name);
  }
  // Two imported ones come first; 2 is immutable, 4 has a name, and the name for 5 is taken.
  EXPECT_THAT(names, ElementsAre("__jamsocket_global_3", "counter", "__jamsocket_global_5_", "__jamsocket_global_6"));
  EXPECT_EQ(module->globals.at(3).type, ValueType::F64);
  const Engine engine;
  EXPECT_TRUE(is_valid(engine, module->bytes));
}

TEST(Rewrite, AddsAnExportSectionWhereItBelongs) {
  const Engine engine;
  for (const int with : {0, 1, 2, 3}) {
    ModuleBuilder builder;
    builder.global_i32(1, "\x07");
    if ((with & 1) != 0) {
      builder.memory(std::string("\0\1", 2));
      builder.data(std::string(1, '\0'), "x");
    }
    if ((with & 2) != 0) {
      builder.function("", "", "");
    }
    const std::string bytes = builder.build();
    ASSERT_TRUE(is_valid(engine, bytes)) << with;
    const std::string after = rewritten(bytes);
    EXPECT_TRUE(is_valid(engine, after)) << with;
    EXPECT_EQ(layout_of(after).exports.size(), 1U) << with;
  }
}

TEST(Rewrite, SaysWhatKeepsARoomFromBeingTaken) {
  const auto obstacles_of = [](const std::string& bytes) {
    return obstacles_to_capture(bytes, layout_of(bytes)).value();
  };
  EXPECT_THAT(obstacles_of(guest_bytes("zoo")), IsEmpty());
  EXPECT_THAT(obstacles_of(testing::example_bytes("counter")), IsEmpty());
  EXPECT_THAT(
      obstacles_of(guest_bytes("uncapturable")),
      ElementsAre(HasSubstr("table.set"), HasSubstr("table.grow"), HasSubstr("table.fill"), HasSubstr("table.copy"),
                  HasSubstr("table.init"), HasSubstr("elem.drop"), HasSubstr("data.drop"), HasSubstr("type funcref")));
  const std::string imports = guest_bytes("globals");
  EXPECT_THAT(obstacles_of(imports), ElementsAre(HasSubstr("imports a table or a global")));
}

TEST(CodeScan, WalksThroughEveryInstruction) {
  // A module with one of each; the engine says that it is valid, the scanner must come to the same end.
  const Engine engine;
  const std::string bytes = guest_bytes("instructions");
  ASSERT_TRUE(is_valid(engine, bytes));
  EXPECT_THAT(obstacles_to_capture(bytes, layout_of(bytes)).value(), IsEmpty());
}

TEST(CodeScan, RefusesWhatIsTooLarge) {
  const auto scan = [](const std::string& body) {
    return scan_code(testing::leb(1) + testing::leb(body.size()) + body, 1);
  };
  const auto locals = [](std::uint64_t count) { return "\x01" + testing::leb(count) + "\x7f\x0b"; };
  EXPECT_TRUE(scan(locals(10'000)).has_value());
  EXPECT_EQ(scan(locals(10'001)).error().code, ErrorCode::TooLarge);
  EXPECT_EQ(scan(locals(0xffffffffU)).error().code, ErrorCode::TooLarge);

  const auto nested = [](std::size_t depth) {
    std::string body(1, '\0');
    for (std::size_t i = 0; i < depth; ++i) {
      body += "\x02\x40";
    }
    return body + std::string(depth + 1, '\x0b');
  };
  EXPECT_TRUE(scan(nested(4'095)).has_value());
  EXPECT_EQ(scan(nested(4'096)).error().code, ErrorCode::TooLarge);

  const auto table = [](std::uint64_t targets) {
    return std::string("\0\x41\0\x0e", 4) + testing::leb(targets) + std::string(targets + 1, '\0') + "\x0b";
  };
  EXPECT_TRUE(scan(table(65'536)).has_value());
  EXPECT_EQ(scan(table(65'537)).error().code, ErrorCode::TooLarge);
  EXPECT_EQ(scan(std::string(1, '\0') + std::string(std::size_t{2} << 20U, '\x01') + "\x0b").error().code,
            ErrorCode::TooLarge);
}

TEST(CodeScan, RefusesWhatItDoesNotKnow) {
  const auto code_of = [](std::string_view body) {
    return scan_code(testing::leb(1) + testing::leb(body.size()) + std::string(body), 1).error().code;
  };
  EXPECT_EQ(code_of(std::string_view("\0\x06\x0b", 3)), ErrorCode::Unsupported);          // try
  EXPECT_EQ(code_of(std::string_view("\0\xfe\x00\x0b", 4)), ErrorCode::Unsupported);      // atomics
  EXPECT_EQ(code_of(std::string_view("\0\xfd\x80\x02\x0b", 5)), ErrorCode::Unsupported);  // relaxed SIMD
  EXPECT_EQ(code_of(std::string_view("\0\x0b\x0b", 3)), ErrorCode::Malformed);            // behind the end
  EXPECT_EQ(code_of(std::string_view("\0\x02\x40\x0b", 4)), ErrorCode::Malformed);        // no end
  EXPECT_EQ(scan_code(std::string_view("\x02\x02\0\x0b", 4), 2).error().code, ErrorCode::Malformed);
  EXPECT_EQ(scan_code(std::string_view("\x01\x02\0\x0b", 4), 2).error().code, ErrorCode::Malformed);
}

// Goal: rewriting does not change behaviour. The stories of the other tests run rewritten modules; here
// it is seen that the globals can be read and hold what the guest put there.
TEST(Rewrite, MakesTheStackPointerReadable) {
  const Engine engine;
  const auto module = testing::loaded(engine, guest_bytes("command_2021"));
  ASSERT_EQ(module->capturable_globals().size(), 1U);
  service::Effects effects;
  const auto guest = Guest::instantiate(module, {}, {}, effects);
  ASSERT_TRUE(guest.has_value());
  EXPECT_EQ((*guest)->read_global(module->capturable_globals().front().export_name), 1048576U);
}

}  // namespace
}  // namespace jamsocket::wasm

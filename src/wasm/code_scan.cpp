#include "wasm/code_scan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "wasm/byte_reader.hpp"

namespace jamsocket::wasm {
namespace {

constexpr CodeLimits kLimits;

// What follows an opcode.
enum class Immediate : std::uint8_t {
  None,
  Index,        // one u32
  TwoIndexes,   // two u32
  BlockType,    // a signed 33-bit number
  BranchTable,  // a list of u32 and one more
  ValueTypes,   // a list of bytes
  Memory,       // alignment and offset
  MemoryLane,   // the same and a byte
  Byte,         // one byte
  Bytes16,      // sixteen
  ConstI32,
  ConstI64,
  ConstF32,
  ConstF64,
  Unknown,
};

constexpr Immediate immediate_of(std::uint8_t opcode) {
  if (opcode >= 0x45 && opcode <= 0xc4) {
    return Immediate::None;  // Comparisons, arithmetic, conversions.
  }
  if (opcode >= 0x28 && opcode <= 0x3e) {
    return Immediate::Memory;  // Loads and stores.
  }
  switch (opcode) {
    case 0x00:  // unreachable
    case 0x01:  // nop
    case 0x05:  // else
    case 0x0b:  // end
    case 0x0f:  // return
    case 0x1a:  // drop
    case 0x1b:  // select
    case 0xd1:  // ref.is_null
      return Immediate::None;
    case 0x02:  // block
    case 0x03:  // loop
    case 0x04:  // if
    case 0xd0:  // ref.null
      return Immediate::BlockType;
    case 0x0e:
      return Immediate::BranchTable;
    case 0x11:  // call_indirect
    case 0x13:  // return_call_indirect
      return Immediate::TwoIndexes;
    case 0x1c:
      return Immediate::ValueTypes;
    case 0x0c:  // br
    case 0x0d:  // br_if
    case 0x10:  // call
    case 0x12:  // return_call
    case 0x20:  // local.get, set, tee
    case 0x21:
    case 0x22:
    case 0x23:  // global.get, set
    case 0x24:
    case 0x25:  // table.get, set
    case 0x26:
    case 0x3f:  // memory.size
    case 0x40:  // memory.grow
    case 0xd2:  // ref.func
      return Immediate::Index;
    case 0x41:
      return Immediate::ConstI32;
    case 0x42:
      return Immediate::ConstI64;
    case 0x43:
      return Immediate::ConstF32;
    case 0x44:
      return Immediate::ConstF64;
    default:
      return Immediate::Unknown;
  }
}

// After 0xfc: saturating conversions, bulk memory, tables.
constexpr Immediate immediate_of_bulk(std::uint32_t opcode) {
  switch (opcode) {
    case 8:   // memory.init
    case 10:  // memory.copy
    case 12:  // table.init
    case 14:  // table.copy
      return Immediate::TwoIndexes;
    case 9:   // data.drop
    case 11:  // memory.fill
    case 13:  // elem.drop
    case 15:  // table.grow
    case 16:  // table.size
    case 17:  // table.fill
      return Immediate::Index;
    default:
      return opcode <= 7 ? Immediate::None : Immediate::Unknown;
  }
}

// After 0xfd: vectors of 128 bits.
constexpr Immediate immediate_of_vector(std::uint32_t opcode) {
  if (opcode <= 11 || opcode == 0x5c || opcode == 0x5d) {
    return Immediate::Memory;  // Loads and stores.
  }
  if (opcode == 12 || opcode == 13) {
    return Immediate::Bytes16;  // v128.const, i8x16.shuffle
  }
  if (opcode >= 0x15 && opcode <= 0x22) {
    return Immediate::Byte;  // Extract and replace lanes.
  }
  if (opcode >= 0x54 && opcode <= 0x5b) {
    return Immediate::MemoryLane;
  }
  return opcode <= 0xff ? Immediate::None : Immediate::Unknown;
}

// The name of an instruction whose effect lies outside memory and globals, or nothing.
constexpr std::string_view uncapturable_name(std::uint8_t opcode, std::uint32_t second) {
  if (opcode == 0x26) {
    return "table.set";
  }
  if (opcode != 0xfc) {
    return {};
  }
  switch (second) {
    case 9:
      return "data.drop";
    case 12:
      return "table.init";
    case 13:
      return "elem.drop";
    case 14:
      return "table.copy";
    case 15:
      return "table.grow";
    case 17:
      return "table.fill";
    default:
      return {};
  }
}

std::unexpected<Error> malformed() {
  return fail(ErrorCode::Malformed, "the module's code section is not well-formed");
}

std::unexpected<Error> over(std::string_view what, std::size_t have, std::size_t max) {
  return fail(ErrorCode::TooLarge,
              fmt::format("a function of the module has {} {}; at most {} are allowed", have, what, max));
}

class BodyScanner {
 public:
  BodyScanner(std::string_view body, CodeFacts& facts) : in_(body), facts_(facts) {}

  Result<void> scan() {
    JAM_TRY_VOID(read_locals());
    std::uint32_t depth = 1;
    while (depth > 0) {
      const std::uint8_t opcode = in_.byte();
      if (!in_.ok()) {
        return malformed();
      }
      if (opcode >= 0x02 && opcode <= 0x04 && ++depth > kLimits.depth) {
        return over("nested blocks", depth, kLimits.depth);
      }
      if (opcode == 0x0b) {
        --depth;
      }
      const std::uint32_t second = opcode == 0xfc || opcode == 0xfd ? in_.u32() : 0;
      const Immediate immediate = opcode == 0xfc   ? immediate_of_bulk(second)
                                  : opcode == 0xfd ? immediate_of_vector(second)
                                                   : immediate_of(opcode);
      if (immediate == Immediate::Unknown) {
        return fail(
            ErrorCode::Unsupported,
            fmt::format("the module uses an instruction that is not supported (0x{:02x} 0x{:02x})", opcode, second));
      }
      JAM_TRY_VOID(skip(immediate));
      note(uncapturable_name(opcode, second));
    }
    return in_.ok() && in_.at_end() ? Result<void>{} : Result<void>{malformed()};
  }

 private:
  Result<void> read_locals() {
    const std::uint32_t groups = in_.u32();
    std::uint64_t locals = 0;
    for (std::uint32_t i = 0; i < groups && in_.ok(); ++i) {
      locals += in_.u32();
      in_.byte();  // Its type; the layout's check of types and the engine's validation see to it.
      if (locals > kLimits.locals) {
        return over("local variables", locals, kLimits.locals);
      }
    }
    return {};
  }

  Result<void> skip(Immediate immediate) {
    switch (immediate) {
      case Immediate::None:
      case Immediate::Unknown:
        break;
      case Immediate::TwoIndexes:
        in_.u32();
        in_.u32();
        break;
      case Immediate::Index:
        in_.u32();
        break;
      case Immediate::BlockType:
        in_.skip_signed(33);
        break;
      case Immediate::BranchTable: {
        const std::uint32_t targets = in_.u32();
        if (targets > kLimits.branch_targets) {
          return over("targets of one br_table", targets, kLimits.branch_targets);
        }
        for (std::uint32_t i = 0; i <= targets && in_.ok(); ++i) {
          in_.u32();
        }
        break;
      }
      case Immediate::ValueTypes:
        in_.name();
        break;
      case Immediate::Memory:
        in_.u32();
        in_.u64();
        break;
      case Immediate::MemoryLane:
        in_.u32();
        in_.u64();
        in_.byte();
        break;
      case Immediate::Byte:
        in_.byte();
        break;
      case Immediate::Bytes16:
        in_.take(16);
        break;
      case Immediate::ConstI32:
        in_.skip_signed(32);
        break;
      case Immediate::ConstI64:
        in_.skip_signed(64);
        break;
      case Immediate::ConstF32:
        in_.take(4);
        break;
      case Immediate::ConstF64:
        in_.take(8);
        break;
    }
    return in_.ok() ? Result<void>{} : Result<void>{malformed()};
  }

  void note(std::string_view name) {
    if (!name.empty() && std::ranges::find(facts_.uncapturable, name) == facts_.uncapturable.end()) {
      facts_.uncapturable.push_back(name);
    }
  }

  ByteReader in_;
  CodeFacts& facts_;
};

}  // namespace

Result<CodeFacts> scan_code(std::string_view payload, std::size_t functions) {
  ByteReader in(payload);
  CodeFacts facts;
  if (in.u32() != functions) {
    return malformed();
  }
  for (std::size_t i = 0; i < functions; ++i) {
    const std::string_view body = in.name();
    if (!in.ok()) {
      return malformed();
    }
    if (body.size() > kLimits.body_bytes) {
      return over("bytes", body.size(), kLimits.body_bytes);
    }
    JAM_TRY_VOID(BodyScanner(body, facts).scan());
  }
  if (!in.at_end()) {
    return malformed();
  }
  return facts;
}

}  // namespace jamsocket::wasm

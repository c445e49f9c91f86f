#include "wasm_generator.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace jamsocket::fuzz {
namespace {

enum class Type : std::uint8_t { I32 = 0x7F, I64 = 0x7E, F32 = 0x7D, F64 = 0x7C };
constexpr std::array kTypes{Type::I32, Type::I64, Type::F32, Type::F64};

// The module's function types.
enum class Shape : std::uint8_t {
  Report,   // (i32, i64)
  GiveI32,  // () to i32, and so on: one for each of kTypes
  GiveI64,
  GiveF32,
  GiveF64,
  Computes,  // (i32, f64) to i64
  Acts,      // ()
};

std::size_t place_of(Type type) { return static_cast<std::size_t>(std::ranges::find(kTypes, type) - kTypes.begin()); }
Shape giving(Type type) { return static_cast<Shape>(static_cast<std::size_t>(Shape::GiveI32) + place_of(type)); }

std::string leb(std::uint64_t value) {
  std::string out;
  do {
    const auto low = static_cast<std::uint8_t>(value & 0x7FU);
    value >>= 7U;
    out += static_cast<char>(value != 0 ? low | 0x80U : low);
  } while (value != 0);
  return out;
}
std::string byte(std::uint8_t value) { return {static_cast<char>(value)}; }
std::string byte_of(Type type) { return byte(static_cast<std::uint8_t>(type)); }
std::string named(std::string_view name) { return leb(name.size()) + std::string(name); }

struct Global {
  Type type = Type::I32;
  bool is_mutable = false;
};

// What the code of a module may name.
struct Names {
  std::uint32_t imported_functions = 1;
  std::vector<Shape> functions;  // Defined ones.
  std::vector<Global> globals;   // Imported ones first.
  std::uint32_t imported_globals = 0;
  bool has_memory = false;
  bool has_table = false;
};

// The body of one function.
class Body {
 public:
  Body(Choices& choices, const Names& names, Shape shape)
      : choices_(choices), names_(names), parameters_(shape == Shape::Computes ? 2U : 0U) {}

  std::string write(Shape shape) {
    for (std::uint32_t i = choices_.below(6); i > 0; --i) {
      statement(3);
    }
    if (shape == Shape::Computes) {
      value(Type::I64, 3);
    } else if (shape != Shape::Acts) {
      value(kTypes.at(static_cast<std::size_t>(shape) - static_cast<std::size_t>(Shape::GiveI32)), 3);
    }
    std::string locals = leb(kTypes.size());
    for (const Type type : kTypes) {
      locals += leb(1) + byte_of(type);
    }
    return locals + out_ + "\x0B";
  }

 private:
  void op(std::uint8_t code) { out_ += byte(code); }
  [[nodiscard]] std::string local(Type type) const { return leb(parameters_ + place_of(type)); }
  // One of the globals, or none.
  [[nodiscard]] std::optional<std::size_t> global(Type type, bool to_write) {
    std::vector<std::size_t> fitting;
    for (std::size_t i = 0; i < names_.globals.size(); ++i) {
      if (names_.globals[i].type == type && (!to_write || names_.globals[i].is_mutable)) {
        fitting.push_back(i);
      }
    }
    if (fitting.empty()) {
      return std::nullopt;
    }
    return fitting[choices_.below(static_cast<std::uint32_t>(fitting.size()))];
  }
  void constant(Type type) {
    const std::size_t place = place_of(type);
    op(static_cast<std::uint8_t>(0x41 + place));
    out_ += type == Type::I32 || type == Type::I64 ? byte(static_cast<std::uint8_t>(choices_.below(128)))
                                                   : choices_.raw(type == Type::F32 ? 4 : 8);
  }
  // In the first page.
  void address() {
    op(0x41);
    out_ += leb(std::uint64_t{choices_.below(256)} << 6U | std::uint64_t{1} << 14U);  // Three bytes: no sign.
  }
  void binary(Type type, std::uint8_t first, std::uint8_t count, std::uint32_t depth) {
    value(type, depth);
    value(type, depth);
    op(static_cast<std::uint8_t>(first + choices_.below(count)));
  }
  void convert(Type from, std::uint8_t code, std::uint32_t depth) {
    value(from, depth);
    op(code);
  }
  void call(std::uint32_t function, std::uint32_t depth) {
    if (names_.functions[function] == Shape::Computes) {
      value(Type::I32, depth);
      value(Type::F64, depth);
    }
    op(0x10);
    out_ += leb(names_.imported_functions + function);
  }
  // Whether there is a function of that shape; if so it is called.
  bool call_one(Shape shape, std::uint32_t depth) {
    const auto at = std::ranges::find(names_.functions, shape);
    if (at == names_.functions.end()) {
      return false;
    }
    call(static_cast<std::uint32_t>(at - names_.functions.begin()), depth);
    return true;
  }

  // Leaves a value of the type on the stack.
  void value(Type type, std::uint32_t depth) {
    if (depth == 0 || out_.size() > kBytesMax) {
      constant(type);
      return;
    }
    --depth;
    switch (choices_.below(8)) {
      case 0:
        constant(type);
        return;
      case 1:
        op(0x20);
        out_ += local(type);
        return;
      case 2:
        if (const auto index = global(type, false)) {
          op(0x23);
          out_ += leb(*index);
        } else {
          constant(type);
        }
        return;
      case 3:
        if (!call_one(giving(type), depth)) {
          constant(type);
        }
        return;
      case 4:
        branches(type, depth);
        return;
      case 5:
        value(type, depth);
        op(0x22);  // local.tee
        out_ += local(type);
        return;
      default:
        computed(type, depth);
    }
  }
  void branches(Type type, std::uint32_t depth) {
    value(Type::I32, depth);
    op(0x04);
    out_ += byte_of(type);
    value(type, depth);
    op(0x05);
    value(type, depth);
    op(0x0B);
  }
  void computed(Type type, std::uint32_t depth) {
    switch (type) {
      case Type::I32:
        return computed_i32(depth);
      case Type::I64:
        return computed_i64(depth);
      case Type::F32:
        return choices_.maybe() ? binary(type, 0x92, 7, depth) : convert(Type::F64, 0xB6, depth);
      case Type::F64:
        switch (choices_.below(4)) {
          case 0:
            return binary(type, 0xA0, 7, depth);
          case 1:
            return convert(Type::I32, 0xB7, depth);
          case 2:
            return convert(Type::I64, 0xBF, depth);
          default:
            return convert(Type::F64, 0x9F, depth);  // sqrt
        }
    }
  }
  void computed_i32(std::uint32_t depth) {
    switch (choices_.below(9)) {
      case 0:
        return binary(Type::I32, 0x46, 10, depth);
      case 1:
        return binary(Type::I64, 0x51, 10, depth);
      case 2:
        return binary(Type::F64, 0x61, 6, depth);
      case 3:
        return convert(Type::I64, 0xA7, depth);
      case 4:
        return convert(Type::F64, 0xAA, depth);  // Traps where it does not fit.
      case 5:
        return names_.has_memory ? loaded(0x28) : constant(Type::I32);
      case 6:
        if (names_.has_memory) {
          value(Type::I32, depth);
          out_ += std::string("\x40\0", 2);  // memory.grow
        } else {
          constant(Type::I32);
        }
        return;
      case 7:
        if (names_.has_table) {
          value(Type::I32, depth);
          op(0x11);  // Traps where there is no function, or one of another type.
          out_ += leb(static_cast<std::size_t>(Shape::GiveI32)) + leb(0);
        } else {
          constant(Type::I32);
        }
        return;
      default:
        return binary(Type::I32, 0x6A, 15, depth);  // Divides as well.
    }
  }
  void computed_i64(std::uint32_t depth) {
    switch (choices_.below(5)) {
      case 0:
        return convert(Type::I32, 0xAC, depth);
      case 1:
        return convert(Type::F64, 0xBD, depth);
      case 2:
        return names_.has_memory ? loaded(0x29) : constant(Type::I64);
      case 3:
        if (!call_one(Shape::Computes, depth)) {
          constant(Type::I64);
        }
        return;
      default:
        return binary(Type::I64, 0x7C, 15, depth);
    }
  }
  void loaded(std::uint8_t code) {
    address();
    op(code);
    out_ += leb(0) + leb(choices_.below(128));
  }

  void statements(std::uint32_t depth) {
    for (std::uint32_t i = choices_.below(4); i > 0; --i) {
      statement(depth);
    }
  }
  // Leaves the stack as it was.
  void statement(std::uint32_t depth) {
    if (depth == 0 || out_.size() > kBytesMax) {
      op(0x01);
      return;
    }
    --depth;
    const Type type = kTypes.at(choices_.below(kTypes.size()));
    switch (choices_.below(8)) {
      case 0:
        value(type, depth);
        op(0x21);
        out_ += local(type);
        return;
      case 1:
      case 2:
        if (const auto index = global(type, true)) {
          value(type, depth);
          op(0x24);
          out_ += leb(*index);
        }
        return;
      case 3:
        if (names_.has_memory) {
          address();
          value(type, depth);
          op(static_cast<std::uint8_t>(0x36 + place_of(type)));
          out_ += leb(0) + leb(choices_.below(128));
        }
        return;
      case 4:
        value(Type::I32, depth);
        value(Type::I64, depth);
        op(0x10);
        out_ += leb(choices_.below(names_.imported_functions));
        return;
      case 5:
        return repeated(depth);
      case 6:
        value(Type::I32, depth);
        out_ += "\x04\x40";
        statements(depth);
        if (choices_.below(8) == 0) {
          op(0x00);  // unreachable
        }
        op(0x0B);
        return;
      default:
        value(type, depth);
        op(0x1A);
    }
  }
  void repeated(std::uint32_t depth) {
    out_ += choices_.maybe() ? "\x03\x40" : "\x02\x40";  // loop, block
    statements(depth);
    value(Type::I32, depth);
    out_ += std::string("\x0D\0", 2);
    statements(depth);
    op(0x0B);
  }

  static constexpr std::size_t kBytesMax = 2000;

  Choices& choices_;
  const Names& names_;
  std::uint32_t parameters_;
  std::string out_;
};

// The module around the code.
class Writer {
 public:
  explicit Writer(std::string_view choices) : choices_(choices) {}

  GeneratedModule write() {
    decide();
    module_.bytes = std::string("\0asm\1\0\0\0", 8);
    section(1, types());
    section(2, imports());
    section(3, entries(names_.functions, [](Shape shape) { return leb(static_cast<std::size_t>(shape)); }));
    if (names_.has_table) {
      section(4, leb(1) + "\x70" + std::string("\0\4", 2));
    }
    if (names_.has_memory) {
      section(5, leb(1) + std::string("\1\1\3", 3));
    }
    section(6, globals());
    if (has_exports_) {
      section(7, exports());
    }
    if (has_start_) {
      section(8, leb(names_.imported_functions));
    }
    if (names_.has_table) {
      section(9, leb(1) + std::string("\0\x41\0\x0B", 4) + leb(2) + leb(names_.imported_functions) + leb(0));
    }
    section(10, code());
    if (names_.has_memory && choices_.maybe()) {
      section(11, leb(1) + std::string("\0\x41\x10\x0B", 4) + named(choices_.raw(8)));
    }
    return std::move(module_);
  }

 private:
  void decide() {
    names_.imported_functions = 1 + choices_.below(3);
    imports_base_ = choices_.maybe();
    imports_shared_ = choices_.maybe();
    if (imports_base_) {
      names_.globals.push_back({Type::I32, false});
    }
    if (imports_shared_) {
      names_.globals.push_back({Type::I64, true});
    }
    names_.imported_globals = static_cast<std::uint32_t>(names_.globals.size());
    for (std::uint32_t i = choices_.below(7); i > 0; --i) {
      names_.globals.push_back({kTypes.at(choices_.below(kTypes.size())), choices_.below(4) != 0});
    }
    names_.has_memory = choices_.maybe();
    names_.has_table = choices_.maybe();
    has_exports_ = choices_.below(8) != 0;
    has_start_ = !has_exports_ || choices_.below(4) == 0;
    names_.functions.push_back(Shape::Acts);  // The one to start with.
    for (std::uint32_t i = choices_.below(5); i > 0; --i) {
      names_.functions.push_back(static_cast<Shape>(1 + choices_.below(6)));
    }
    callable_ = names_.functions.size();
    for (std::size_t i = names_.imported_globals; has_exports_ && i < names_.globals.size(); ++i) {
      if (names_.globals[i].is_mutable) {
        names_.functions.push_back(giving(names_.globals[i].type));
        read_.push_back(i);
      }
    }
  }

  // Each section, and between them some that mean nothing.
  void section(std::uint8_t id, const std::string& payload) {
    module_.bytes += byte(id) + named(payload);
    if (choices_.below(8) == 0) {
      module_.bytes += byte(0) + named(named("some.section") + choices_.raw(5));
    }
  }
  template <class Items, class Write>
  static std::string entries(const Items& items, Write write) {
    std::string out = leb(items.size());
    for (const auto& item : items) {
      out += write(item);
    }
    return out;
  }

  static std::string types() {
    std::string out = leb(7) + std::string("\x60\x02\x7F\x7E\0", 5);
    for (const Type type : kTypes) {
      out += std::string("\x60\0\1", 3) + byte_of(type);
    }
    return out + "\x60\x02\x7F\x7C\x01\x7E" + std::string("\x60\0\0", 3);
  }
  [[nodiscard]] std::string imports() const {
    std::string out = leb(names_.imported_functions + names_.imported_globals);
    if (imports_base_) {
      out += named("env") + named(kBase) + std::string("\x03\x7F\0", 3);
    }
    for (std::uint32_t i = 0; i < names_.imported_functions; ++i) {
      out += named("env") + named(kReport) + std::string("\0\0", 2);
    }
    if (imports_shared_) {
      out += named("env") + named(kShared) + "\x03\x7E\x01";
    }
    return out;
  }
  std::string globals() {
    std::string out = leb(names_.globals.size() - names_.imported_globals);
    for (std::size_t i = names_.imported_globals; i < names_.globals.size(); ++i) {
      const Global& global = names_.globals[i];
      out += byte_of(global.type) + byte(global.is_mutable ? 1 : 0);
      if (imports_base_ && global.type == Type::I32 && choices_.maybe()) {
        out += "\x23" + leb(0);
      } else {
        out += byte(static_cast<std::uint8_t>(0x41 + place_of(global.type)));
        out += global.type == Type::I32 || global.type == Type::I64
                   ? byte(static_cast<std::uint8_t>(choices_.below(128)))
                   : choices_.raw(global.type == Type::F32 ? 4 : 8);
      }
      out += "\x0B";
    }
    return out;
  }
  std::string exports() {
    std::vector<std::string> all;
    const auto add = [&](const std::string& name, std::uint8_t kind, std::size_t index) {
      all.push_back(named(name) + byte(kind) + leb(index));
    };
    for (std::size_t i = 0; i < callable_; ++i) {
      module_.functions.push_back("f" + std::to_string(i));
      add(module_.functions.back(), 0, names_.imported_functions + i);
    }
    for (std::size_t i = 0; i < read_.size(); ++i) {
      module_.readers.push_back("r" + std::to_string(i));
      add(module_.readers.back(), 0, names_.imported_functions + callable_ + i);
    }
    if (names_.has_memory) {
      module_.exports_memory = true;
      add("memory", 2, 0);
    }
    // Names that the rewriter would give, and globals that have names.
    for (std::size_t i = 0; i < names_.globals.size(); ++i) {
      if (choices_.below(4) == 0) {
        add("__jamsocket_global_" + std::to_string(i), 0, names_.imported_functions);
      }
      if (choices_.below(4) == 0) {
        add("global " + std::to_string(i), 3, i);
      }
    }
    return entries(all, [](const std::string& entry) { return entry; });
  }
  std::string code() {
    std::string out = leb(names_.functions.size());
    for (std::size_t i = 0; i < callable_; ++i) {
      out += named(Body(choices_, names_, names_.functions[i]).write(names_.functions[i]));
    }
    for (const std::size_t global : read_) {
      out += named(leb(0) + "\x23" + leb(global) + "\x0B");
    }
    return out;
  }

  Choices choices_;
  Names names_;
  GeneratedModule module_;
  bool imports_base_ = false;
  bool imports_shared_ = false;
  bool has_exports_ = false;
  bool has_start_ = false;
  std::size_t callable_ = 0;       // Of the functions; behind them are the readers.
  std::vector<std::size_t> read_;  // The globals that these answer.
};

}  // namespace

std::uint32_t Choices::below(std::uint32_t bound) {
  if (bytes_.empty()) {
    return 0;
  }
  const auto value = static_cast<std::uint8_t>(bytes_.front());
  bytes_.remove_prefix(1);
  return value % bound;
}

std::string Choices::raw(std::size_t count) {
  std::string out(bytes_.substr(0, count));
  bytes_.remove_prefix(out.size());
  out.resize(count, '\0');
  return out;
}

GeneratedModule generate_module(std::string_view choices) { return Writer(choices).write(); }

}  // namespace jamsocket::fuzz

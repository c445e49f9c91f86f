#include "cli/guest_build_rust.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "cli/child_process.hpp"

namespace jamsocket::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAdvice =
    "on Debian: apt-get install rustc libstd-rust-dev-wasm32 lld-14 wasi-libc; with rustup: rustup target add "
    "wasm32-wasip1";

// Of WASI first (the new name, then the old one): the host gives it a clock and random bytes.
constexpr std::array<std::string_view, 3> kTargets{"wasm32-wasip1", "wasm32-wasi", "wasm32-unknown-unknown"};
constexpr std::array<std::string_view, 3> kLinkers{"wasm-ld-14", "wasm-ld-19", "wasm-ld"};

struct RustCompiler {
  std::string program;
  std::string target;
  std::string linker;  ///< Empty: it brings its own.
  std::vector<std::string> flags;
};

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::optional<RustCompiler> usable(const std::string& program) {
  const auto sysroot = output_of_child({.words = {program, "--print", "sysroot"}, .folder = {}, .environment = {}});
  if (!sysroot) {
    return std::nullopt;
  }
  const fs::path libraries = fs::path(*sysroot) / "lib" / "rustlib";
  const auto target = std::ranges::find_if(
      kTargets, [&libraries](std::string_view name) { return is_there(libraries / name / "lib"); });
  if (target == kTargets.end()) {
    return std::nullopt;
  }
  RustCompiler compiler{.program = program, .target = std::string(*target), .linker = {}, .flags = {}};
  compiler.flags = {"-C", "link-arg=--strip-debug"};
  if (target->starts_with("wasm32-wasi")) {
    // A reactor. Without it the linker wraps every export to set the libraries up and down around each call.
    const fs::path start = libraries / *target / "lib" / "self-contained" / "crt1-reactor.o";
    compiler.flags.insert(compiler.flags.end(),
                          {"-C", "link-arg=" + start.string(), "-C", "link-arg=--export=_initialize"});
  }
  const auto host = output_of_child({.words = {program, "-vV"}, .folder = {}, .environment = {}});
  const std::size_t at = host ? host->find("host: ") : std::string::npos;
  const std::string triple = at == std::string::npos ? "" : host->substr(at + 6, host->find('\n', at) - at - 6);
  if (!is_there(libraries / triple / "bin" / "rust-lld")) {
    const auto linker =
        std::ranges::find_if(kLinkers, [](std::string_view name) { return !find_program(name).empty(); });
    if (linker == kLinkers.end()) {
      return std::nullopt;
    }
    compiler.linker = *linker;
  }
  return compiler;
}

// The one on PATH may lack the target while Debian's, behind it, has it.
std::optional<RustCompiler> find_compiler() {
  for (const std::string& program : {find_program("rustc"), std::string("/usr/bin/rustc")}) {
    if (!program.empty() && is_there(program)) {
      if (std::optional<RustCompiler> compiler = usable(program)) {
        return compiler;
      }
    }
  }
  return std::nullopt;
}

struct Manifest {
  std::string edition = "2021";
  bool has_dependencies = false;
};

// As much of a Cargo.toml as decides whether cargo is needed.
Manifest read_manifest(const fs::path& path) {
  Manifest manifest;
  std::ifstream file(path);
  bool in_dependencies = false;
  for (std::string line; std::getline(file, line);) {
    line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.starts_with('[')) {
      in_dependencies = line.starts_with("[dependencies") || line.starts_with("[workspace");
      manifest.has_dependencies |= line.starts_with("[dependencies.");
    } else if (in_dependencies && !line.empty() && !line.starts_with('#')) {
      manifest.has_dependencies = true;
    } else if (line.starts_with("edition")) {
      const std::size_t quote = line.find('"');
      manifest.edition = quote == std::string::npos ? manifest.edition : line.substr(quote + 1, 4);
    }
  }
  return manifest;
}

Result<void> build_with_rustc(const RustCompiler& compiler, const fs::path& file, const std::string& edition,
                              const fs::path& output) {
  ChildCommand command{.words = {compiler.program, "--crate-type", "cdylib", "--edition", edition, "--target",
                                 compiler.target, "-C", "opt-level=2", "-C", "panic=abort"},
                       .folder = {},
                       .environment = {}};
  command.words.insert(command.words.end(), compiler.flags.begin(), compiler.flags.end());
  if (!compiler.linker.empty()) {
    command.words.insert(command.words.end(), {"-C", "linker=" + compiler.linker});
  }
  command.words.insert(command.words.end(), {"-o", output.string(), file.string()});
  return run_child(command);
}

// Cargo's own form of RUSTFLAGS: spaces in a path do no harm.
std::string encoded_flags(const std::vector<std::string>& flags) {
  constexpr std::string_view kSeparator = "\x1f";
  return fmt::format("{}", fmt::join(flags, kSeparator));
}

std::vector<fs::path> modules_in(const fs::path& folder) {
  std::vector<fs::path> modules;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".wasm") {
      modules.push_back(entry.path());
    }
  }
  return modules;
}

// The one beside the compiler: of another age it does not understand it.
std::string cargo_of(const RustCompiler& compiler) {
  const std::string beside = (fs::path(compiler.program).parent_path() / "cargo").string();
  return is_there(beside) ? beside : find_program("cargo");
}

Result<void> build_with_cargo(const RustCompiler& compiler, const fs::path& folder, const fs::path& output,
                              const fs::path& kept) {
  const std::string cargo = cargo_of(compiler);
  if (cargo.empty()) {
    return fail(ErrorCode::NotFound,
                "cargo is not there, which a package with dependencies needs; on Debian: apt-get "
                "install cargo");
  }
  std::error_code error;
  const fs::path target_folder = fs::absolute(kept, error);
  ChildCommand command{
      .words = {cargo, "build", "--release", "--target", compiler.target, "--target-dir", target_folder.string()},
      .folder = folder.string(),
      .environment = {{"RUSTC", compiler.program}, {"CARGO_ENCODED_RUSTFLAGS", encoded_flags(compiler.flags)}}};
  if (!compiler.linker.empty()) {
    std::string variable = fmt::format("CARGO_TARGET_{}_LINKER", compiler.target);
    std::ranges::transform(variable, variable.begin(), [](char c) {
      return c == '-' ? '_' : (c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
    });
    command.environment.emplace_back(variable, compiler.linker);
  }
  const fs::path made = target_folder / compiler.target / "release";
  for (const fs::path& earlier : modules_in(made)) {
    fs::remove(earlier, error);  // Of a package that had another name; cargo puts the one that it makes there again.
  }
  JAM_TRY_VOID(run_child(command));
  const std::vector<fs::path> modules = modules_in(made);
  if (modules.size() != 1) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("cargo made {} modules; allowed: one, of a library with crate-type = [\"cdylib\"]",
                            modules.size()));
  }
  fs::copy_file(modules[0], output, fs::copy_options::overwrite_existing, error);
  return error ? Result<void>(fail(ErrorCode::Io, fmt::format("the module cannot be copied: {}", error.message())))
               : Result<void>();
}

}  // namespace

Result<void> build_rust(const GuestSource& source, const fs::path& output, const fs::path& kept) {
  const std::optional<RustCompiler> compiler = find_compiler();
  if (!compiler) {
    return fail(ErrorCode::NotFound,
                fmt::format("a Rust compiler with a WebAssembly target and a linker for it is not there; {}", kAdvice));
  }
  if (!source.file.empty()) {
    return build_with_rustc(*compiler, source.file, "2021", output);
  }
  const Manifest manifest = read_manifest(source.folder / "Cargo.toml");
  const fs::path library = source.folder / "src" / "lib.rs";
  return manifest.has_dependencies || !is_there(library)
             ? build_with_cargo(*compiler, source.folder, output, kept)
             : build_with_rustc(*compiler, library, manifest.edition, output);
}

}  // namespace jamsocket::cli

#include "cli/guest_build.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "base/log.hpp"
#include "cli/child_process.hpp"
#include "cli/guest_build_rust.hpp"
#include "guest_flags.hpp"

namespace jamsocket::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCppCompiler = "clang++-19";
constexpr std::string_view kCppPackages =
    "clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32";
constexpr std::string_view kExportingMacro = "JAMSOCKET_WASM";
constexpr std::string_view kCppLibraryHeaders = "/usr/lib/llvm-19/include/wasm32-wasi/c++/v1";

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::string shown(const fs::path& path) { return fmt::format("'{}'", escape_for_log(path.string(), 300)); }

bool is_cpp(const fs::path& file) {
  const fs::path extension = file.extension();
  return extension == ".cpp" || extension == ".cc" || extension == ".cxx";
}

bool is_source(const fs::path& file) { return is_cpp(file) || file.extension() == ".rs"; }

// "counter" of "examples/counter/", "." and "counter.cpp".
std::string name_of(const fs::path& path) {
  std::error_code error;
  fs::path whole = fs::absolute(path, error).lexically_normal();
  whole = whole.has_filename() ? whole : whole.parent_path();
  return whole.stem().empty() ? "service" : whole.stem().string();
}

// None if the folder cannot be read: `error` says why.
std::vector<fs::path> files_in(const fs::path& folder, bool (*wanted)(const fs::path&), std::error_code& error) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (wanted(entry.path())) {
      files.push_back(entry.path());
    }
  }
  return files;
}

GuestSource source_of_file(const fs::path& file) {
  return {.language = is_cpp(file) ? GuestLanguage::Cpp : GuestLanguage::Rust,
          .folder = file.parent_path(),
          .file = file,
          .name = name_of(file)};
}

Result<GuestSource> find_in_folder(const fs::path& folder) {
  if (is_there(folder / "Cargo.toml")) {
    return GuestSource{.language = GuestLanguage::Rust, .folder = folder, .file = {}, .name = name_of(folder)};
  }
  if (is_there(folder / "package.json")) {
    return GuestSource{
        .language = GuestLanguage::AssemblyScript, .folder = folder, .file = {}, .name = name_of(folder)};
  }
  std::error_code error;
  const std::vector<fs::path> files = files_in(folder, is_source, error);
  if (error) {
    return fail(ErrorCode::Io, fmt::format("{} cannot be read: {}", shown(folder), error.message()));
  }
  if (files.size() == 1) {
    return source_of_file(files[0]);
  }
  return fail(files.empty() ? ErrorCode::NotFound : ErrorCode::InvalidArgument,
              fmt::format("{} has {} C++ or Rust sources, no Cargo.toml and no package.json; allowed: one of these; or "
                          "name the source in jamsocket.toml: [service] source = \"NAME.cpp\"",
                          shown(folder), files.size()));
}

// The public headers: of the installation that this program is in, else of the source tree.
Result<fs::path> public_headers() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (const fs::path& candidate : {program.parent_path().parent_path() / "include", fs::path(kSourceTreeIncludes)}) {
    if (is_there(candidate / "jamsocket" / "service.hpp")) {
      return candidate;
    }
  }
  return fail(ErrorCode::NotFound,
              fmt::format("the headers are missing: neither {} nor {} has jamsocket/service.hpp",
                          shown(program.parent_path().parent_path() / "include"), shown(kSourceTreeIncludes)));
}

bool has_word(const fs::path& path, std::string_view word) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return text.find(word) != std::string::npos;
}

Result<void> build_cpp(const GuestSource& source, const fs::path& output) {
  if (find_program(kCppCompiler).empty() || find_program("wasm-ld-19").empty() || !is_there(kCppLibraryHeaders)) {
    return fail(
        ErrorCode::NotFound,
        fmt::format("the compiler for modules in C++ is not there; on Debian: apt-get install {}", kCppPackages));
  }
  const fs::path headers = JAM_TRY(public_headers());
  ChildCommand command{.words = {std::string(kCppCompiler)}, .folder = {}, .environment = {}};
  command.words.insert(command.words.end(), kGuestFlags.begin(), kGuestFlags.end());
  command.words.push_back("-I" + headers.string());
  command.words.insert(command.words.end(), {"-o", output.string(), source.file.string()});
  Result<void> done = run_child(command);
  if (!done && done.error().code == ErrorCode::Malformed && !has_word(source.file, kExportingMacro)) {
    return fail(ErrorCode::Malformed, fmt::format("{}; {} has no {}(CLASS), which makes a class the module's service",
                                                  done.error().message, shown(source.file), kExportingMacro));
  }
  return done;
}

Result<fs::path> assemblyscript_entry(const fs::path& folder) {
  const fs::path assembly = folder / "assembly";
  const auto is_script = [](const fs::path& file) { return file.extension() == ".ts"; };
  std::error_code error;
  const std::vector<fs::path> scripts = files_in(assembly, is_script, error);
  if (is_there(assembly / "index.ts")) {
    return assembly / "index.ts";
  }
  if (scripts.size() != 1) {
    return fail(ErrorCode::InvalidArgument, fmt::format("{} has {} scripts and no index.ts; allowed: index.ts, or one",
                                                        shown(assembly), scripts.size()));
  }
  return scripts[0];
}

Result<void> build_assemblyscript(const GuestSource& source, const fs::path& output) {
  if (find_program("node").empty() || find_program("npm").empty()) {
    return fail(ErrorCode::NotFound,
                "Node is not there, which AssemblyScript needs; on Debian: apt-get install nodejs npm");
  }
  const fs::path compiler = source.folder / "node_modules" / ".bin" / "asc";
  if (!is_there(compiler)) {
    const bool locked = is_there(source.folder / "package-lock.json");
    JAM_TRY_VOID(run_child({.words = {"npm", locked ? "ci" : "install", "--no-audit", "--no-fund"},
                            .folder = source.folder.string(),
                            .environment = {}}));
  }
  if (!is_there(compiler)) {
    return fail(ErrorCode::NotFound,
                fmt::format("{} does not name the package assemblyscript, whose compiler is needed",
                            shown(source.folder / "package.json")));
  }
  const fs::path entry = JAM_TRY(assemblyscript_entry(source.folder));
  std::error_code error;
  ChildCommand command{
      .words = {fs::absolute(compiler, error).string(), entry.lexically_relative(source.folder).string(), "--outFile",
                fs::absolute(output, error).string()},
      .folder = source.folder.string(),
      .environment = {}};
  if (is_there(source.folder / "asconfig.json")) {
    command.words.insert(command.words.end(), {"--target", "release"});
  } else {
    command.words.insert(command.words.end(), {"--optimize", "--debug"});  // With names, for backtraces.
  }
  return run_child(command);
}

Result<void> compile(const GuestSource& source, const fs::path& output, const fs::path& kept) {
  switch (source.language) {
    case GuestLanguage::Rust:
      return build_rust(source, output, kept);
    case GuestLanguage::AssemblyScript:
      return build_assemblyscript(source, output);
    case GuestLanguage::Cpp:
      break;
  }
  return build_cpp(source, output);
}

// A folder beside the output in which compilers work: what was built before stays until its successor is whole,
// whatever happens to them. The file has its name there already, as linkers write it into the module.
class Workshop {
 public:
  explicit Workshop(const fs::path& output) : output_(followed(output)) {
    folder_ = output_.parent_path() / fmt::format(".{}.building", output.filename().string());
    module_ = folder_ / output.filename();
  }
  ~Workshop() { clear(); }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  [[nodiscard]] const fs::path& module() const { return module_; }

  [[nodiscard]] Result<void> open() const {
    clear();  // Of a build that was ended by a signal.
    std::error_code error;
    fs::create_directory(folder_, error);
    return error ? Result<void>(fail(ErrorCode::Io, fmt::format("nothing can be written beside {}: {}", shown(output_),
                                                                error.message())))
                 : Result<void>();
  }

  // What else the compiler made, like a map of the source, goes with the module, which is last.
  [[nodiscard]] Result<void> deliver() const {
    std::error_code error;
    if (!fs::is_regular_file(module_, error) || fs::file_size(module_, error) == 0) {
      return fail(ErrorCode::Malformed, fmt::format("the compiler did not make {}", shown(output_)));
    }
    for (const fs::path& file : files_in(folder_, [](const fs::path&) { return true; }, error)) {
      if (file != module_) {
        fs::rename(file, output_.parent_path() / file.filename(), error);
      }
    }
    fs::rename(module_, output_, error);
    return error ? Result<void>(
                       fail(ErrorCode::Io, fmt::format("{} cannot be written: {}", shown(output_), error.message())))
                 : Result<void>();
  }

 private:
  // Where a link leads: the link stays one.
  static fs::path followed(const fs::path& output) {
    std::error_code error;
    const fs::path target = fs::is_symlink(output, error) ? fs::canonical(output, error) : fs::absolute(output, error);
    return error ? output : target;
  }

  void clear() const {
    std::error_code error;
    fs::remove_all(folder_, error);
  }

  fs::path output_;
  fs::path folder_;
  fs::path module_;
};

}  // namespace

Result<GuestSource> find_guest_source(const fs::path& package) {
  std::error_code error;
  if (fs::is_directory(package, error)) {
    return find_in_folder(package);
  }
  if (!fs::exists(package, error)) {
    return fail(ErrorCode::NotFound, fmt::format("there is no service at {}: no such file or folder", shown(package)));
  }
  if (is_source(package)) {
    return source_of_file(package);
  }
  return fail(ErrorCode::InvalidArgument,
              fmt::format("{} cannot be built; allowed: a .cpp or .rs file, or a folder{}", shown(package),
                          package.extension() == ".wasm" ? "; a built module belongs under [service] module" : ""));
}

Result<void> build_guest(const GuestSource& source, const fs::path& output) {
  std::error_code error;
  if (fs::is_directory(output, error)) {
    return fail(ErrorCode::InvalidArgument, fmt::format("{} is a folder; allowed: a file", shown(output)));
  }
  const fs::path folder = fs::absolute(output, error).parent_path();
  fs::create_directories(folder, error);
  if (error) {
    return fail(ErrorCode::Io, fmt::format("the folder of {} cannot be made: {}", shown(output), error.message()));
  }
  const fs::path kept = folder / "rust";
  if (fs::exists(output, error) && !fs::is_regular_file(output, error)) {
    return compile(source, output, kept);  // A pipe or a device: there is nothing to put in its place.
  }
  const Workshop workshop(output);
  JAM_TRY_VOID(workshop.open());
  JAM_TRY_VOID(compile(source, workshop.module(), kept));
  return workshop.deliver();
}

}  // namespace jamsocket::cli

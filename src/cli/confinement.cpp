#include "cli/confinement.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <variant>

#include "base/endpoint.hpp"
#include "sandbox/calls.hpp"
#include "sandbox/files.hpp"
#include "sandbox/harden.hpp"

namespace jamsocket::cli {
namespace {

namespace fs = std::filesystem;

// What the C library, the log and the engine read of the system.
constexpr const char* kSystemFiles[] = {"/etc/hosts",
                                        "/etc/resolv.conf",
                                        "/etc/nsswitch.conf",
                                        "/etc/gai.conf",
                                        "/etc/host.conf",
                                        "/etc/localtime",
                                        "/etc/services",
                                        "/etc/protocols",
                                        "/etc/ssl",
                                        "/usr/lib/ssl",
                                        "/usr/share/zoneinfo",
                                        "/dev/null",
                                        "/dev/urandom",
                                        "/proc/sys/vm/max_map_count",
                                        "/proc/sys/net/core/somaxconn",
                                        "/proc/cpuinfo",
                                        "/proc/self",
                                        "/proc/meminfo",
                                        "/sys/devices/system/cpu",
                                        "/sys/fs/cgroup",
                                        "/etc/ld.so.cache"};
// To start itself again, for compiling.
constexpr const char* kLibraries[] = {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"};

// Links are followed: what a rule names is what is there.
void add_path(std::vector<fs::path>& paths, const std::string& path) {
  if (!path.empty()) {
    paths.emplace_back(path);
  }
}

// A folder that does not exist yet cannot be named: it is made now, as it would be later.
void add_folder_to_write(std::vector<fs::path>& paths, const std::string& path) {
  if (!path.empty()) {
    std::error_code error;
    fs::create_directories(fs::path(path).parent_path(), error);
    fs::create_directory(path, error);
    fs::permissions(path, fs::perms::owner_all, error);
    paths.emplace_back(path);
  }
}

// Another module may come to lie beside the one that is served.
void add_folder_of(std::vector<fs::path>& paths, const std::string& file) {
  if (!file.empty()) {
    const fs::path folder = fs::path(file).parent_path();
    paths.push_back(folder.empty() ? fs::path(".") : folder);
    // The file may be a link to another folder's, and the next one, too: certificates are often kept so.
    std::error_code error;
    if (const fs::path target = fs::canonical(file, error); !error) {
      paths.push_back(target.parent_path());
    }
  }
}

// Whatever the table calls a path may be read.
void add_paths_of(config::Settings settings, std::vector<fs::path>& paths) {
  add_folder_of(paths, settings.service.module);
  for (const config::Entry& entry : config::entries()) {
    const auto* text = std::get_if<config::Text>(&entry.field);
    if (text != nullptr && text->path != config::PathKind::NotAPath) {
      add_path(paths, text->field(settings));
    }
  }
}

sandbox::FileAccess files_of(const config::Loaded& loaded, const std::string& module_file) {
  sandbox::FileAccess access;
  for (const char* file : kSystemFiles) {
    access.read.emplace_back(file);
  }
  add_folder_of(access.read, module_file);
  add_paths_of(loaded.settings, access.read);
  add_folder_of(access.read, loaded.settings.server.admin_token_file);  // Whoever changes it puts another in its place.
  add_folder_of(access.read, loaded.settings.server.tls_cert);
  add_folder_of(access.read, loaded.settings.server.tls_key);
  for (const config::NamedService& service : loaded.services) {
    add_paths_of(service.settings, access.read);
  }
  for (const char* folder : kLibraries) {
    access.execute.emplace_back(folder);
  }
  std::error_code error;
  access.execute.push_back(fs::read_symlink("/proc/self/exe", error));
  const std::string& cache = loaded.settings.service.module_cache;
  add_folder_to_write(access.write, cache.empty() ? config::default_module_cache() : cache);
  add_folder_to_write(access.write, loaded.settings.server.data_dir);
  if (::isatty(STDERR_FILENO) == 1) {
    // The log opens the terminal anew, so as not to be blocked by one that stands still.
    access.write.push_back(fs::read_symlink("/proc/self/fd/2", error));
  }
  for (const std::string& text : loaded.settings.server.listen) {
    if (const auto endpoint = Endpoint::parse(text); endpoint && endpoint->is_unix()) {
      access.sockets.push_back(fs::path(endpoint->path).parent_path());
    }
  }
  return access;
}

}  // namespace

Result<void> confine_server(const config::Loaded& loaded, const std::string& module_file) {
  const bool wanted = loaded.settings.sandbox == "on";
  JAM_TRY_VOID(sandbox::harden_process(wanted ? sandbox::Dumpable::No : sandbox::Dumpable::Yes));
  if (!wanted) {
    return {};
  }
  for (const Result<void>& done :
       {sandbox::confine_files(files_of(loaded, module_file)), sandbox::confine_calls(sandbox::CallProfile::Server)}) {
    if (!done) {
      return fail(done.error().code, fmt::format("server.sandbox is on, but {}", done.error().message));
    }
  }
  return {};
}

}  // namespace jamsocket::cli

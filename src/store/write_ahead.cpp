#include "store/write_ahead.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <optional>
#include <vector>

#include "base/check.hpp"

namespace jamsocket::store {
namespace {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::uint32_t kMagic = 0x377F0682;  // The last bit says in which order the checksums take the bytes.

using Header = std::array<unsigned char, kHeaderBytes>;

std::uint32_t big_endian(const Header& header, std::size_t at) {
  return (std::uint32_t{header[at]} << 24U) | (std::uint32_t{header[at + 1]} << 16U) |
         (std::uint32_t{header[at + 2]} << 8U) | header[at + 3];
}

/// @return the salts of a header whose checksum is right. @source SQLite's file format, "WAL Header", "Checksum
/// Algorithm"
std::optional<std::uint64_t> salt_of(const Header& header) {
  const std::uint32_t magic = big_endian(header, 0);
  if ((magic & ~1U) != kMagic) {
    return std::nullopt;
  }
  const auto word = [&](std::size_t at) {
    const std::uint32_t value = big_endian(header, at);
    return (magic & 1U) != 0 ? value : std::byteswap(value);
  };
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  for (std::size_t at = 0; at < 24; at += 8) {
    first += word(at) + second;
    second += word(at + 4) + first;
  }
  if (first != big_endian(header, 24) || second != big_endian(header, 28)) {
    return std::nullopt;
  }
  return (std::uint64_t{big_endian(header, 16)} << 32U) | big_endian(header, 20);
}

std::optional<std::uint64_t> read_salt(sqlite3* connection) {
  sqlite3_file* file = nullptr;
  Header header{};
  if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&file)) != SQLITE_OK ||
      file == nullptr || file->pMethods == nullptr ||
      file->pMethods->xRead(file, header.data(), static_cast<int>(header.size()), 0) != SQLITE_OK) {
    return std::nullopt;
  }
  return salt_of(header);
}

// A file that is there, while it is looked at.
class LogFile {
 public:
  LogFile(sqlite3_vfs* vfs, const char* path) : memory_(static_cast<std::size_t>(vfs->szOsFile)) {
    const int flags = SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE;
    is_open_ = vfs->xOpen(vfs, path, file(), flags, nullptr) == SQLITE_OK;
  }
  ~LogFile() {
    if (file()->pMethods != nullptr) {
      file()->pMethods->xClose(file());
    }
  }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  [[nodiscard]] std::optional<std::uint64_t> salt() {
    Header header{};
    if (!is_open_ || file()->pMethods->xRead(file(), header.data(), static_cast<int>(header.size()), 0) != SQLITE_OK) {
      return std::nullopt;
    }
    return salt_of(header);
  }

 private:
  [[nodiscard]] sqlite3_file* file() { return reinterpret_cast<sqlite3_file*>(memory_.data()); }

  std::vector<std::byte> memory_;  // As SQLite does: what the file is, only the VFS knows.
  bool is_open_ = false;
};

}  // namespace

Result<void> WriteAhead::discard_worked_in(const std::string& vfs_name, const std::string& path, const LockFile& lock) {
  const std::optional<LogMark> mark = lock.mark();
  if (!mark || mark->use != LogUse::WorkedIn) {
    return {};
  }
  sqlite3_vfs* const vfs = sqlite3_vfs_find(vfs_name.c_str());
  JAM_CHECK(vfs != nullptr);
  const std::string log = path + "-wal";
  // A log with another salt began after that one had been worked in.
  if (LogFile(vfs, log.c_str()).salt() != mark->salt) {
    return {};
  }
  const int code = vfs->xDelete(vfs, log.c_str(), 1);
  if (code != SQLITE_OK && code != SQLITE_IOERR_DELETE_NOENT) {
    return fail(ErrorCode::Io, fmt::format("{} cannot be removed: {}", log, sqlite3_errstr(code)));
  }
  return {};
}

Result<void> WriteAhead::attach() {
  distrust();
  const std::optional<LogMark> mark = lock_.mark();
  if (mark && mark->frames > 0 && mark->use == LogUse::Needed) {
    const WorkedIn log = JAM_TRY(checkpoint());
    const std::optional<std::uint64_t> salt = read_salt(connection_.raw());
    // With another salt it began anew, once all that was in it had been worked into the file.
    if (!salt || (*salt == mark->salt && log.frames < mark->frames)) {
      return fail(ErrorCode::Malformed,
                  "the newest part of what was committed is gone from its write-ahead log, or damaged there; restore a "
                  "backup, or remove the file 'lock' beside it to go on with what is left");
    }
    mark_ = {.salt = *salt, .frames = log.frames};
    JAM_TRY_VOID(mark_worked_in(log));
  }
  is_trusted_ = true;
  sqlite3_db_config(connection_.raw(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  sqlite3_wal_hook(
      connection_.raw(),
      [](void* self, sqlite3*, const char*, int frames) {
        static_cast<WriteAhead*>(self)->frames_ = static_cast<std::uint64_t>(frames);
        return SQLITE_OK;
      },
      this);
  return {};
}

Result<void> WriteAhead::committed() {
  if (may_begin_anew_) {
    mark_ = {.salt = read_salt(connection_.raw()).value_or(0), .frames = 0};
    may_begin_anew_ = false;
  }
  if (frames_ != mark_.frames) {
    mark_.frames = frames_;
    JAM_TRY_VOID(lock_.set_mark(mark_));
  }
  return {};
}

Result<void> WriteAhead::keep_short(std::uint64_t frames_max) {
  return frames_ >= frames_max && !may_begin_anew_ ? work_in() : Result<void>{};
}

void WriteAhead::distrust() {
  is_trusted_ = false;
  sqlite3_db_config(connection_.raw(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

Result<void> WriteAhead::work_in() {
  if (!is_trusted_) {
    return {};
  }
  return mark_worked_in(JAM_TRY(checkpoint()));
}

Result<void> WriteAhead::mark_worked_in(const WorkedIn& log) {
  // Where a statement is still being read, the next commit is appended to the log: it will be needed.
  if (log.frames_in_file < log.frames || sqlite3_txn_state(connection_.raw(), "main") != SQLITE_TXN_NONE) {
    return {};
  }
  mark_.use = LogUse::WorkedIn;
  return lock_.set_mark(mark_);
}

Result<WriteAhead::WorkedIn> WriteAhead::checkpoint() {
  may_begin_anew_ = true;
  int frames = 0;
  int worked_in = 0;
  const int code = sqlite3_wal_checkpoint_v2(connection_.raw(), "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &worked_in);
  if (code != SQLITE_OK) {
    distrust();
    return connection_.error_of(code);
  }
  // -1: there is no log.
  return WorkedIn{.frames = static_cast<std::uint64_t>(std::max(frames, 0)),
                  .frames_in_file = static_cast<std::uint64_t>(std::max(worked_in, 0))};
}

}  // namespace jamsocket::store

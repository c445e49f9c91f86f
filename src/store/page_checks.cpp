#include "store/page_checks.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <set>
#include <string_view>

#include "base/check.hpp"
#include "store/log_row.hpp"

namespace jamsocket::store {
namespace {

constexpr int kReservedBytes = sizeof(std::uint32_t);
// SQLite's file format, "The Database Header": how much of each page is not SQLite's.
constexpr std::size_t kReservedAt = 20;
constexpr int kHeaderBytes = 100;
constexpr int kPageBytesMin = 512;
constexpr int kZerosAtOnce = 64 << 10;
constexpr std::size_t kGatheredBytesMax = std::size_t{64} << 10U;

bool is_page(int length, sqlite3_int64 offset) {
  return length >= kPageBytesMin && std::has_single_bit(static_cast<unsigned>(length)) && offset % length == 0;
}

std::uint32_t sum_of(const char* page, int length, sqlite3_int64 offset) {
  return checksum({reinterpret_cast<const char*>(&offset), sizeof offset},
                  {page, static_cast<std::size_t>(length - kReservedBytes)});
}

}  // namespace

struct PageChecks::Vfs {
  sqlite3_vfs vfs{};
  sqlite3_vfs* under = nullptr;
  sqlite3_int64 log_bytes_ahead = 0;
  bool forgives = false;
  bool has_refused = false;
  std::set<sqlite3_int64> forgiven;  ///< Where damaged pages are that are read nonetheless.

  // What was written and has not reached the file below: one piece.
  struct Gathered {
    std::string bytes;
    sqlite3_int64 offset = 0;
    [[nodiscard]] sqlite3_int64 end() const { return offset + static_cast<sqlite3_int64>(bytes.size()); }
  };

  // What SQLite allocates for an open file; the file below lies behind it.
  struct Open {
    sqlite3_file base;
    Vfs* owner;
    Gathered* gathered;  ///< From `open` to `close`.
    bool is_database;
    bool is_checked;
    bool is_log;
    sqlite3_int64 log_bytes;
  };
  static Open& open_of(sqlite3_file* file) { return *reinterpret_cast<Open*>(file); }
  static sqlite3_file* below(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<Open*>(file) + 1);
  }
  static Vfs& owner_of(sqlite3_vfs* vfs) { return *static_cast<Vfs*>(vfs->pAppData); }

  static void note_header(Open& open, const void* bytes, int length, sqlite3_int64 offset) {
    if (open.is_database && offset == 0 && length >= kHeaderBytes) {
      open.is_checked = static_cast<const char*>(bytes)[kReservedAt] == kReservedBytes;
    }
  }

  // Before anything else is done with the file. Where it fails SQLite hears it from what it does next, at the latest
  // from the sync that every commit waits for; and writes what it wrote once more, or nothing.
  static int pass_on(sqlite3_file* file) {
    Gathered& gathered = *open_of(file).gathered;
    if (gathered.bytes.empty()) {
      return SQLITE_OK;
    }
    const int code = below(file)->pMethods->xWrite(below(file), gathered.bytes.data(),
                                                   static_cast<int>(gathered.bytes.size()), gathered.offset);
    gathered.bytes.clear();
    return code;
  }

  static int read(sqlite3_file* file, void* out, int length, sqlite3_int64 offset) {
    if (const int code = pass_on(file); code != SQLITE_OK) {
      return code;
    }
    const int code = below(file)->pMethods->xRead(below(file), out, length, offset);
    Open& open = open_of(file);
    if (code != SQLITE_OK) {
      return code;
    }
    note_header(open, out, length, offset);
    if (!open.is_checked || !is_page(length, offset)) {
      return SQLITE_OK;
    }
    const auto* const page = static_cast<const char*>(out);
    std::uint32_t sum = 0;
    std::memcpy(&sum, page + length - kReservedBytes, sizeof sum);
    if (sum == sum_of(page, length, offset)) {
      return SQLITE_OK;
    }
    // A page that the file grew over and that was never written.
    const bool is_empty = std::all_of(page, page + length, [](char byte) { return byte == 0; });
    if (open.owner->forgives) {
      open.owner->forgiven.insert(offset);
    }
    const bool is_passed = is_empty || open.owner->forgiven.contains(offset);
    open.owner->has_refused = open.owner->has_refused || !is_passed;
    return is_passed ? SQLITE_OK : SQLITE_IOERR_DATA;
  }
  // What is behind the log's end is no frame of it: zeros have no checksum.
  static int make_space(sqlite3_file* file, sqlite3_int64 end) {
    Open& open = open_of(file);
    const sqlite3_int64 ahead = open.owner->log_bytes_ahead;
    if (!open.is_log || end <= open.log_bytes || ahead == 0) {
      return SQLITE_OK;
    }
    if (const int code = pass_on(file); code != SQLITE_OK) {
      return code;
    }
    static constexpr std::array<char, kZerosAtOnce> kZeros{};  // More at once SQLite's own VFS does not write.
    const sqlite3_int64 to = end + ahead;
    for (sqlite3_int64 at = std::max(end, open.log_bytes); at < to; at += kZerosAtOnce) {
      const int count = static_cast<int>(std::min<sqlite3_int64>(kZerosAtOnce, to - at));
      if (const int code = below(file)->pMethods->xWrite(below(file), kZeros.data(), count, at); code != SQLITE_OK) {
        return code;
      }
    }
    open.log_bytes = to;
    return SQLITE_OK;
  }
  static int write(sqlite3_file* file, const void* bytes, int length, sqlite3_int64 offset) {
    Open& open = open_of(file);
    if (const int code = make_space(file, offset + length); code != SQLITE_OK) {
      return code;
    }
    note_header(open, bytes, length, offset);
    Gathered& gathered = *open.gathered;
    const auto count = static_cast<std::size_t>(length);
    if (offset != gathered.end() || gathered.bytes.size() + count > kGatheredBytesMax) {
      if (const int code = pass_on(file); code != SQLITE_OK) {
        return code;
      }
      gathered.offset = offset;
    }
    gathered.bytes.append(static_cast<const char*>(bytes), count);
    if (open.is_checked && is_page(length, offset)) {
      open.owner->forgiven.erase(offset);
      char* const page = gathered.bytes.data() + gathered.bytes.size() - count;
      const std::uint32_t sum = sum_of(page, length, offset);
      std::memcpy(page + length - kReservedBytes, &sum, sizeof sum);
    }
    return SQLITE_OK;
  }

  static int close(sqlite3_file* file) {
    const int code = pass_on(file);
    delete open_of(file).gathered;
    const int closed = below(file)->pMethods->xClose(below(file));
    return code != SQLITE_OK ? code : closed;
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    if (const int code = pass_on(file); code != SQLITE_OK) {
      return code;
    }
    open_of(file).log_bytes = std::min(open_of(file).log_bytes, size);
    return below(file)->pMethods->xTruncate(below(file), size);
  }
  static int sync(sqlite3_file* file, int flags) {
    const int code = pass_on(file);
    return code != SQLITE_OK ? code : below(file)->pMethods->xSync(below(file), flags);
  }
  static int size(sqlite3_file* file, sqlite3_int64* out) {
    const int code = pass_on(file);
    return code != SQLITE_OK ? code : below(file)->pMethods->xFileSize(below(file), out);
  }
  static int unlock(sqlite3_file* file, int level) {
    const int code = pass_on(file);
    return code != SQLITE_OK ? code : below(file)->pMethods->xUnlock(below(file), level);
  }

  // The rest is the affair of the file below.
  static int lock(sqlite3_file* file, int level) { return below(file)->pMethods->xLock(below(file), level); }
  static int is_reserved(sqlite3_file* file, int* out) {
    return below(file)->pMethods->xCheckReservedLock(below(file), out);
  }
  static int control(sqlite3_file* file, int what, void* argument) {
    return below(file)->pMethods->xFileControl(below(file), what, argument);
  }
  static int sector_size(sqlite3_file* file) { return below(file)->pMethods->xSectorSize(below(file)); }
  static int characteristics(sqlite3_file* file) { return below(file)->pMethods->xDeviceCharacteristics(below(file)); }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    // Version 1: no memory is shared with other processes or with the file.
    static const sqlite3_io_methods kMethods{.iVersion = 1,
                                             .xClose = close,
                                             .xRead = read,
                                             .xWrite = write,
                                             .xTruncate = truncate,
                                             .xSync = sync,
                                             .xFileSize = size,
                                             .xLock = lock,
                                             .xUnlock = unlock,
                                             .xCheckReservedLock = is_reserved,
                                             .xFileControl = control,
                                             .xSectorSize = sector_size,
                                             .xDeviceCharacteristics = characteristics,
                                             .xShmMap = nullptr,
                                             .xShmLock = nullptr,
                                             .xShmBarrier = nullptr,
                                             .xShmUnmap = nullptr,
                                             .xFetch = nullptr,
                                             .xUnfetch = nullptr};
    Vfs& self = owner_of(vfs);
    open_of(file) = {.base = {.pMethods = nullptr},
                     .owner = &self,
                     .gathered = nullptr,
                     .is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0,
                     .is_checked = false,
                     .is_log = (flags & SQLITE_OPEN_WAL) != 0,
                     .log_bytes = 0};
    below(file)->pMethods = nullptr;
    const int code = self.under->xOpen(self.under, name, below(file), flags, out_flags);
    if (code != SQLITE_OK) {
      return code;
    }
    open_of(file).base.pMethods = &kMethods;
    open_of(file).gathered = new Gathered;  // SQLite's memory for the file is never constructed.
    return below(file)->pMethods->xFileSize(below(file), &open_of(file).log_bytes);
  }
  static int remove(sqlite3_vfs* vfs, const char* name, int sync_folder) {
    sqlite3_vfs* const under = owner_of(vfs).under;
    return under->xDelete(under, name, sync_folder);
  }
  static int access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
    sqlite3_vfs* const under = owner_of(vfs).under;
    return under->xAccess(under, name, flags, out);
  }
  static int full_path(sqlite3_vfs* vfs, const char* name, int length, char* out) {
    sqlite3_vfs* const under = owner_of(vfs).under;
    return under->xFullPathname(under, name, length, out);
  }
  static int last_error(sqlite3_vfs* vfs, int length, char* out) {
    sqlite3_vfs* const under = owner_of(vfs).under;
    return under->xGetLastError(under, length, out);
  }
};

PageChecks::PageChecks(const std::string& under, std::size_t log_bytes_ahead) : vfs_(std::make_unique<Vfs>()) {
  vfs_->log_bytes_ahead = static_cast<sqlite3_int64>(log_bytes_ahead);
  vfs_->under = sqlite3_vfs_find(under.empty() ? nullptr : under.c_str());
  JAM_CHECK(vfs_->under != nullptr);
  name_ = fmt::format("page-checks-{}", static_cast<const void*>(this));
  vfs_->vfs = *vfs_->under;  // Time and random bytes are those of the one below.
  vfs_->vfs.iVersion = 1;
  vfs_->vfs.szOsFile = static_cast<int>(sizeof(Vfs::Open)) + vfs_->under->szOsFile;
  vfs_->vfs.pNext = nullptr;
  vfs_->vfs.zName = name_.c_str();
  vfs_->vfs.pAppData = vfs_.get();
  vfs_->vfs.xOpen = Vfs::open;
  vfs_->vfs.xDelete = Vfs::remove;
  vfs_->vfs.xAccess = Vfs::access;
  vfs_->vfs.xFullPathname = Vfs::full_path;
  vfs_->vfs.xGetLastError = Vfs::last_error;
  JAM_CHECK(sqlite3_vfs_register(&vfs_->vfs, 0) == SQLITE_OK);
}

PageChecks::~PageChecks() { sqlite3_vfs_unregister(&vfs_->vfs); }

Result<void> PageChecks::prepare(const Connection& connection, const char* schema) {
  int bytes = kReservedBytes;
  const int code = sqlite3_file_control(connection.raw(), schema, SQLITE_FCNTL_RESERVE_BYTES, &bytes);
  return code == SQLITE_OK ? Result<void>{} : connection.error_of(code);
}

Result<void> PageChecks::bring_up(const Connection& connection) {
  int bytes = -1;  // Asks.
  const int code = sqlite3_file_control(connection.raw(), "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);
  if (code != SQLITE_OK) {
    return connection.error_of(code);
  }
  if (bytes == kReservedBytes) {
    return {};
  }
  JAM_TRY_VOID(prepare(connection));
  return connection.execute("VACUUM");
}

Result<void> PageChecks::forgive_where_sound(const Connection& connection, std::string_view table) {
  Statement check = JAM_TRY(connection.prepare(table.empty() ? "PRAGMA integrity_check(1)"
                                                             : fmt::format("PRAGMA main.integrity_check({})", table)));
  const std::set<sqlite3_int64> before = vfs_->forgiven;
  vfs_->forgives = true;
  const Result<bool> row = check.step();
  vfs_->forgives = false;
  if (row && (!*row || check.blob(0) == "ok")) {
    return {};
  }
  const std::string wrong = row ? std::string(check.blob(0)) : row.error().message;
  const ErrorCode code = row ? ErrorCode::Malformed : row.error().code;
  // Nor may what was read stay in the cache.
  check.reset();
  vfs_->forgiven = before;
  sqlite3_db_release_memory(connection.raw());
  return fail(code, wrong);
}

bool PageChecks::has_refused() const { return vfs_->has_refused; }

}  // namespace jamsocket::store

#include "store/unreliable_disk.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace jamsocket::store::testing {
namespace {

constexpr std::size_t kSectorBytes = 512;

}  // namespace

struct UnreliableDisk::File {
  struct Change {
    std::size_t offset = 0;
    std::string bytes;  ///< Of a write.
    bool is_truncation = false;
  };
  std::string now;      ///< As its user sees it.
  std::string on_disk;  ///< As of the last sync.
  std::vector<Change> since;

  static void apply(std::string& content, const Change& change) {
    if (change.is_truncation) {
      content.resize(change.offset);
      return;
    }
    if (content.size() < change.offset + change.bytes.size()) {
      content.resize(change.offset + change.bytes.size());
    }
    content.replace(change.offset, change.bytes.size(), change.bytes);
  }
  void change(Change change) {
    apply(now, change);
    since.push_back(std::move(change));
  }
  void sync() {
    on_disk = now;
    since.clear();
  }
};

struct UnreliableDisk::Vfs {
  sqlite3_vfs vfs{};
  UnreliableDisk* disk = nullptr;

  // What SQLite allocates for an open file.
  struct Open {
    sqlite3_file base;
    UnreliableDisk* disk;
    File* file;
  };
  static Open& open_of(sqlite3_file* file) { return *reinterpret_cast<Open*>(file); }
  static UnreliableDisk& disk_of(sqlite3_vfs* vfs) { return *static_cast<Vfs*>(vfs->pAppData)->disk; }

  static int close(sqlite3_file*) { return SQLITE_OK; }
  static int read(sqlite3_file* file, void* out, int length, sqlite3_int64 offset) {
    if (open_of(file).disk->next_look_fails()) {
      return SQLITE_IOERR_READ;
    }
    const std::string& content = open_of(file).file->now;
    const auto wanted = static_cast<std::size_t>(length);
    const auto at = static_cast<std::size_t>(offset);
    const std::size_t there = at < content.size() ? std::min(wanted, content.size() - at) : 0;
    std::memcpy(out, content.data() + (there != 0 ? at : 0), there);
    std::memset(static_cast<char*>(out) + there, 0, wanted - there);
    return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
  }
  static int write(sqlite3_file* file, const void* bytes, int length, sqlite3_int64 offset) {
    const Fault fault = open_of(file).disk->next();
    std::string written(static_cast<const char*>(bytes), static_cast<std::size_t>(length));
    if (fault == Fault::PowerLoss || fault == Fault::Io) {
      return SQLITE_IOERR_WRITE;
    }
    if (fault == Fault::Full) {
      return SQLITE_FULL;
    }
    if (fault == Fault::ShortWrite) {
      written.resize(written.size() / 2);
    }
    open_of(file).file->change(
        {.offset = static_cast<std::size_t>(offset), .bytes = std::move(written), .is_truncation = false});
    return fault == Fault::ShortWrite ? SQLITE_IOERR_WRITE : SQLITE_OK;
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    if (open_of(file).disk->next() != Fault::None) {
      return SQLITE_IOERR_TRUNCATE;
    }
    open_of(file).file->change({.offset = static_cast<std::size_t>(size), .bytes = {}, .is_truncation = true});
    return SQLITE_OK;
  }
  static int sync(sqlite3_file* file, int) {
    if (open_of(file).disk->next() != Fault::None) {
      return SQLITE_IOERR_FSYNC;  // What was to be synced stays in doubt.
    }
    open_of(file).file->sync();
    return SQLITE_OK;
  }
  static int size(sqlite3_file* file, sqlite3_int64* out) {
    *out = static_cast<sqlite3_int64>(open_of(file).file->now.size());
    return SQLITE_OK;
  }
  static int lock(sqlite3_file*, int) { return SQLITE_OK; }
  static int is_reserved(sqlite3_file*, int* out) {
    *out = 0;
    return SQLITE_OK;
  }
  static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector_size(sqlite3_file*) { return static_cast<int>(kSectorBytes); }
  // As SQLite takes real files to be: a write that is cut off harms nothing beside it. Without that it pads each
  // commit.
  static int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    static const sqlite3_io_methods kMethods{.iVersion = 1,
                                             .xClose = close,
                                             .xRead = read,
                                             .xWrite = write,
                                             .xTruncate = truncate,
                                             .xSync = sync,
                                             .xFileSize = size,
                                             .xLock = lock,
                                             .xUnlock = lock,
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
    UnreliableDisk& disk = disk_of(vfs);
    if (disk.next_look_fails()) {
      return SQLITE_CANTOPEN;
    }
    auto& entry = disk.files_[name != nullptr ? name : "temporary"];
    if (entry == nullptr) {
      entry = std::make_shared<File>();
    }
    open_of(file) = {.base = {.pMethods = &kMethods}, .disk = &disk, .file = entry.get()};
    if (out_flags != nullptr) {
      *out_flags = flags;
    }
    return SQLITE_OK;
  }
  // The name goes at once and for good; what else it might do is the file system's affair.
  static int remove(sqlite3_vfs* vfs, const char* name, int) {
    UnreliableDisk& disk = disk_of(vfs);
    if (disk.next() != Fault::None) {
      return SQLITE_IOERR_DELETE;
    }
    return disk.files_.erase(name) > 0 ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
  }
  static int access(sqlite3_vfs* vfs, const char* name, int, int* out) {
    *out = disk_of(vfs).files_.contains(name) ? 1 : 0;
    return SQLITE_OK;
  }
  static int full_path(sqlite3_vfs*, const char* name, int length, char* out) {
    sqlite3_snprintf(length, out, "%s", name);
    return SQLITE_OK;
  }
};

UnreliableDisk::UnreliableDisk() : vfs_(std::make_unique<Vfs>()) {
  char name[32];
  sqlite3_snprintf(sizeof name, name, "unreliable-%p", static_cast<void*>(this));
  name_ = name;
  const sqlite3_vfs* const usual = sqlite3_vfs_find(nullptr);
  JAM_CHECK(usual != nullptr);
  vfs_->disk = this;
  vfs_->vfs = *usual;  // Time and random bytes are the usual ones.
  vfs_->vfs.iVersion = 1;
  vfs_->vfs.szOsFile = sizeof(Vfs::Open);
  vfs_->vfs.pNext = nullptr;
  vfs_->vfs.zName = name_.c_str();
  vfs_->vfs.pAppData = vfs_.get();
  vfs_->vfs.xOpen = Vfs::open;
  vfs_->vfs.xDelete = Vfs::remove;
  vfs_->vfs.xAccess = Vfs::access;
  vfs_->vfs.xFullPathname = Vfs::full_path;
  JAM_CHECK(sqlite3_vfs_register(&vfs_->vfs, 0) == SQLITE_OK);
}

UnreliableDisk::~UnreliableDisk() { sqlite3_vfs_unregister(&vfs_->vfs); }

void UnreliableDisk::fail_at(std::uint64_t operation, Fault fault, Counts counts) {
  counts_ = counts;
  operations_ = 0;
  failing_operation_ = operation;
  fault_ = fault;
  has_failed_ = false;
}

UnreliableDisk::Fault UnreliableDisk::next() {
  ++operations_;
  const bool fails = fault_ == Fault::PowerLoss ? operations_ >= failing_operation_ : operations_ == failing_operation_;
  if (fault_ == Fault::None || !fails) {
    return Fault::None;
  }
  has_failed_ = true;
  return fault_;
}

bool UnreliableDisk::next_look_fails() { return counts_ == Counts::All && next() != Fault::None; }

void UnreliableDisk::lose_power(std::uint64_t seed) {
  std::mt19937_64 random(seed);  // allow(generator): for tests, with their seed
  for (auto& [name, file] : files_) {
    std::string content = file->on_disk;
    for (const File::Change& change : file->since) {
      if (change.is_truncation) {
        if (random() % 2 == 0) {
          File::apply(content, change);
        }
        continue;
      }
      for (std::size_t at = 0; at < change.bytes.size(); at += kSectorBytes) {
        if (random() % 3 != 0) {
          File::apply(
              content,
              {.offset = change.offset + at, .bytes = change.bytes.substr(at, kSectorBytes), .is_truncation = false});
        }
      }
    }
    file->now = content;
    file->sync();
  }
  fault_ = Fault::None;
}

std::string UnreliableDisk::flip_bit(std::uint64_t seed) {
  std::mt19937_64 random(seed);  // allow(generator): for tests, with their seed
  std::vector<std::pair<std::string, File*>> candidates;
  for (const auto& [name, file] : files_) {
    if (!file->now.empty()) {
      candidates.emplace_back(name, file.get());
    }
  }
  JAM_CHECK(!candidates.empty());
  const auto& [name, file] = candidates[random() % candidates.size()];
  const std::size_t bit = random() % (file->now.size() * 8);
  file->now[bit / 8] = static_cast<char>(static_cast<unsigned char>(file->now[bit / 8]) ^ (1U << (bit % 8)));
  file->sync();
  return name + " bit " + std::to_string(bit);
}

}  // namespace jamsocket::store::testing

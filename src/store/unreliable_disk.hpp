// store/unreliable_disk.hpp
//
// For tests: files in memory behind SQLite's interface to the system, on a disk that fails as it is told.
// What was written and not synced is, after a loss of power, there, not there, or there in part, each
// sector for itself and in any order.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace jamsocket::store::testing {

class UnreliableDisk {
 public:
  enum class Fault : std::uint8_t {
    None,
    PowerLoss,   ///< From the chosen operation on, everything fails.
    Io,          ///< The chosen operation fails, once.
    Full,        ///< The same, for want of space.
    ShortWrite,  ///< The chosen operation writes half of its bytes and fails.
  };

  /// Known to SQLite under a name of its own from here to its end.
  UnreliableDisk();
  ~UnreliableDisk();
  UnreliableDisk(const UnreliableDisk&) = delete;
  UnreliableDisk& operator=(const UnreliableDisk&) = delete;

  [[nodiscard]] const std::string& vfs_name() const { return name_; }
  enum class Counts : std::uint8_t {
    Changes,  ///< Writes, syncs, truncations, deletions.
    All,      ///< These, reads, and opening.
  };
  /// The operation (counted from 1, from here on) that fails, and how.
  void fail_at(std::uint64_t operation, Fault fault, Counts counts = Counts::Changes);
  [[nodiscard]] std::uint64_t operations() const { return operations_; }
  [[nodiscard]] bool has_failed() const { return has_failed_; }
  /// The power goes, and comes back: what is left is chosen by `seed`. Every file must be closed.
  void lose_power(std::uint64_t seed);
  /// Flips a bit of what is on disk, chosen by `seed`. @return which, for a message.
  std::string flip_bit(std::uint64_t seed);

  struct File;
  struct Vfs;
  /// For the functions that SQLite calls: what becomes of the next operation.
  [[nodiscard]] Fault next();
  /// The same for operations that change nothing. @return whether it fails.
  [[nodiscard]] bool next_look_fails();

 private:
  friend struct Vfs;
  std::string name_;
  std::unique_ptr<Vfs> vfs_;
  std::map<std::string, std::shared_ptr<File>> files_;
  std::uint64_t operations_ = 0;
  std::uint64_t failing_operation_ = 0;
  Fault fault_ = Fault::None;
  Counts counts_ = Counts::Changes;
  bool has_failed_ = false;
};

}  // namespace jamsocket::store::testing

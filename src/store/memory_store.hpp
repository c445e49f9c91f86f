// store/memory_store.hpp
//
// A store in memory, for tests and the simulator: what is submitted stays in flight until it is told to
// commit, and a crash loses what is in flight.
//
// Everything runs on the caller's thread. The disk outlives its stores, as a real one does.

#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "store/store.hpp"

namespace jamsocket::store {

/// What has been kept.
struct MemoryDisk {
  struct Room {
    StoredRoom stored;
    std::map<std::uint64_t, Record> log;  ///< All records ever, by number.
  };
  std::map<std::pair<std::string, std::string>, Room> rooms;
  std::set<std::pair<std::string, std::string>> damaged;  ///< `find` says so.
  std::uint64_t next_key = 1;
};

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) {}

  [[nodiscard]] RoomKey new_key() override { return RoomKey{disk_->next_key++}; }
  void submit(Batch batch, Done done) override { jobs_.emplace_back(Submitted{std::move(batch), std::move(done)}); }
  void find(RoomName name, Extent extent, Found found) override {
    jobs_.emplace_back(Asked{std::move(name), extent, std::move(found)});
  }
  void keep_fault(StoredRoom room) override { faults.push_back(std::move(room)); }
  [[nodiscard]] std::vector<SleepingRoom> sleeping() const override;
  [[nodiscard]] bool is_full() const override { return full; }
  [[nodiscard]] bool is_behind() const override { return behind; }

  /// Carries out the oldest request. @return whether there was one.
  bool commit_one();
  /// Until there is none; those that its answers lead to included.
  void commit_all();
  /// Where checkpoints follow: the oldest that waits. @return whether there was one.
  bool keep_checkpoint();
  [[nodiscard]] std::size_t in_flight() const { return jobs_.size(); }

  bool full = false;
  bool behind = false;              ///< With compressing checkpoints.
  bool checkpoints_follow = false;  ///< They wait for `keep_checkpoint` once their batch is committed.
  std::vector<StoredRoom> faults;

 private:
  struct Submitted {
    Batch batch;
    Done done;
  };
  struct Asked {
    RoomName name;
    Extent extent;
    Found found;
  };
  void keep(const Batch& batch);
  void keep(const Batch::Checkpointed& checkpoint);
  void replace(const PackedCheckpoint& packed);
  [[nodiscard]] MemoryDisk::Room* room_of(RoomKey key);
  [[nodiscard]] Result<std::optional<StoredRoom>> read(const RoomName& name, Extent extent) const;

  std::shared_ptr<MemoryDisk> disk_;
  std::deque<std::variant<Submitted, Asked>> jobs_;
  std::deque<Batch::Checkpointed> checkpoints_;
};

}  // namespace jamsocket::store

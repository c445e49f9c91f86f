#include "room/simulated_disk.hpp"

#include <deque>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.hpp"
#include "store/database.hpp"
#include "store/memory_store.hpp"
#include "store/testing.hpp"
#include "store/unreliable_disk.hpp"

namespace jamsocket::room::testing {
namespace {

using store::testing::UnreliableDisk;

class OverMemory final : public SimulatedDisk {
 public:
  store::Store& start(std::uint64_t) override {
    broken_ = false;
    fails_after_ = kNever;
    store_ = std::make_unique<store::MemoryStore>(disk_);
    store_->checkpoints_follow = true;
    return *store_;
  }
  bool work() override {
    if (broken_) {
      return false;
    }
    if (fails_after_ == 0) {
      broken_ = true;
      return false;
    }
    if (fails_after_ != kNever) {
      --fails_after_;
    }
    return store_->commit_one() || store_->keep_checkpoint();
  }
  [[nodiscard]] bool is_broken() const override { return broken_; }
  void fail_soon(std::uint64_t chance) override { fails_after_ = chance % 20; }
  void mend() override { fails_after_ = kNever; }
  void set_full(bool full) override { store_->full = full; }
  void set_damaged(const store::RoomName& name, bool damaged) override {
    if (damaged) {
      disk_->damaged.insert({name.service, name.id});
    } else {
      disk_->damaged.erase({name.service, name.id});
    }
  }

 private:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  std::shared_ptr<store::MemoryDisk> disk_ = std::make_shared<store::MemoryDisk>();
  std::unique_ptr<store::MemoryStore> store_;
  std::uint64_t fails_after_ = kNever;
  bool broken_ = false;
};

// What SqliteStore does, on the caller's thread and when it is told to.
class DatabaseStore final : public store::Store {
 public:
  explicit DatabaseStore(std::unique_ptr<store::Database> database)
      : database_(std::move(database)), next_key_(database_->next_key()) {}

  [[nodiscard]] store::RoomKey new_key() override { return store::RoomKey{next_key_++}; }
  void submit(store::Batch batch, Done done) override {
    std::ranges::move(std::exchange(batch.checkpoints, {}), std::back_inserter(raw_));
    jobs_.emplace_back(Submitted{std::move(batch), std::move(done)});
  }
  void find(store::RoomName name, store::Extent extent, Found found) override {
    jobs_.emplace_back(Asked{std::move(name), extent, std::move(found)});
  }
  void keep_fault(store::StoredRoom) override {}
  [[nodiscard]] std::vector<store::SleepingRoom> sleeping() const override {
    auto rooms = database_->sleeping();
    return rooms ? std::move(*rooms) : std::vector<store::SleepingRoom>{};
  }
  [[nodiscard]] bool is_full() const override { return full; }

  bool work() {
    if (broken) {
      return false;
    }
    if (!jobs_.empty() && std::holds_alternative<Asked>(jobs_.front())) {
      Asked asked = std::move(std::get<Asked>(jobs_.front()));
      jobs_.pop_front();
      asked.found(damaged == asked.name ? fail(ErrorCode::Malformed, "it is damaged")
                                        : database_->read(asked.name, asked.extent));
      return true;
    }
    return commit();
  }

  bool full = false;
  bool broken = false;
  store::RoomName damaged;

 private:
  struct Submitted {
    store::Batch batch;
    Done done;
  };
  struct Asked {
    store::RoomName name;
    store::Extent extent;
    Found found;
  };

  // Everything up to the next question, as one transaction; checkpoints when nothing else is to be done.
  bool commit() {
    std::vector<store::Batch> batches;
    std::vector<Done> waiting;
    while (!jobs_.empty() && std::holds_alternative<Submitted>(jobs_.front())) {
      batches.push_back(std::move(std::get<Submitted>(jobs_.front()).batch));
      waiting.push_back(std::move(std::get<Submitted>(jobs_.front()).done));
      jobs_.pop_front();
    }
    std::vector<store::PackedCheckpoint> packed;
    if (batches.empty()) {
      for (const auto& raw : std::exchange(raw_, {})) {
        packed.push_back(store::pack(raw));
      }
    }
    if (batches.empty() && packed.empty()) {
      return false;
    }
    if (!database_->commit(batches, packed)) {
      broken = true;
      return false;
    }
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      waiting[i](std::move(batches[i]));
    }
    return true;
  }

  std::unique_ptr<store::Database> database_;
  std::uint64_t next_key_;
  std::deque<std::variant<Submitted, Asked>> jobs_;
  std::vector<store::Batch::Checkpointed> raw_;
};

class OverDatabase final : public SimulatedDisk {
 public:
  store::Store& start(std::uint64_t chance) override {
    store_.reset();
    // A process that was killed leaves everything that it wrote.
    if (chance % 2 == 0) {
      disk_.lose_power(chance);
    } else {
      disk_.fail_at(0, UnreliableDisk::Fault::None);
    }
    auto database = store::Database::open(
        folder_.path(),
        {.vfs = disk_.vfs_name(), .row_bytes = 400, .log_bytes_max = 6000, .wal_bytes_ahead = 12000, .wal_pages = 12});
    EXPECT_TRUE(database) << database.error().message;
    JAM_CHECK(database);
    store_ = std::make_unique<DatabaseStore>(std::move(*database));
    return *store_;
  }
  bool work() override { return store_->work(); }
  [[nodiscard]] bool is_broken() const override { return store_->broken; }
  void fail_soon(std::uint64_t chance) override {
    static constexpr UnreliableDisk::Fault kFaults[] = {UnreliableDisk::Fault::PowerLoss, UnreliableDisk::Fault::Io,
                                                        UnreliableDisk::Fault::Full, UnreliableDisk::Fault::ShortWrite};
    disk_.fail_at(1 + chance / 4 % 60, kFaults[chance % 4]);
  }
  void mend() override {
    if (disk_.has_failed()) {
      store_->broken = true;
    } else {
      disk_.fail_at(0, UnreliableDisk::Fault::None);
    }
  }
  void set_full(bool full) override { store_->full = full; }
  void set_damaged(const store::RoomName& name, bool damaged) override {
    store_->damaged = damaged ? name : store::RoomName{};
  }

 private:
  store::testing::TemporaryFolder folder_;  // For the lock; the files are in memory.
  UnreliableDisk disk_;
  std::unique_ptr<DatabaseStore> store_;
};

}  // namespace

std::unique_ptr<SimulatedDisk> make_memory_disk() { return std::make_unique<OverMemory>(); }
std::unique_ptr<SimulatedDisk> make_database_disk() { return std::make_unique<OverDatabase>(); }

}  // namespace jamsocket::room::testing

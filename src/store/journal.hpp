// store/journal.hpp
//
// A shard's end of the store: collects what its rooms want kept during a turn, hands it over as one
// batch, and tells each room when it is on disk.
//
// Thread: its shard's. A target must live until it was told of every ticket it got.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "store/store.hpp"

namespace jamsocket::store {

/// Batches count from 1.
using Ticket = std::uint64_t;

/// Somebody who waits for what it wrote.
class CommitTarget {
 public:
  virtual ~CommitTarget() = default;
  /// Everything written up to and including `ticket` is on disk.
  virtual void committed(Ticket ticket) = 0;
  /// The answer to `Journal::find`.
  virtual void found(Result<std::optional<StoredRoom>> room) = 0;
};

class Journal {
 public:
  /// Runs its argument in the shard's loop, later; any thread.
  using Post = std::function<void(std::move_only_function<void()>)>;

  Journal(Store& store, Post post) : store_(store), post_(std::move(post)) {}
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  [[nodiscard]] RoomKey new_key() { return store_.new_key(); }
  /// What the next flush hands over; to be added to, and followed by `written`.
  [[nodiscard]] Batch& open() { return open_; }
  /// Whether somebody waits for what was added.
  enum class Hurry : std::uint8_t { No, Yes };
  /// `target` added to the open batch, for the first time since its last ticket was committed if that is
  /// another one. @return the batch's ticket.
  Ticket written(CommitTarget& target, Ticket last, Hurry hurry = Hurry::Yes);
  /// `target` hears what is stored, what it wrote before included.
  void find(CommitTarget& target, RoomName name, Extent extent = Extent::Needed);

  void give_back(std::string bytes) { store_.give_back(std::move(bytes)); }
  void keep_fault(StoredRoom room) { store_.keep_fault(std::move(room)); }

  /// Hands the open batch over, if there is anything in it.
  void flush();
  /// Bytes of records in the open batch.
  [[nodiscard]] std::size_t open_bytes() const { return open_.bytes.size(); }
  [[nodiscard]] bool has_open() const { return !open_.empty(); }
  /// Whether somebody waits for what is in the open batch.
  [[nodiscard]] bool is_urgent() const { return hurry_ == Hurry::Yes; }
  /// Whether nothing is open, in flight or asked for.
  [[nodiscard]] bool is_idle() const { return in_flight_.empty() && open_.empty() && asked_ == 0; }
  [[nodiscard]] bool is_full() const { return store_.is_full(); }
  [[nodiscard]] bool is_behind() const { return store_.is_behind(); }

 private:
  void committed_next(Batch spent);

  Store& store_;
  Post post_;
  Batch open_;
  std::vector<Batch> spent_;  ///< A few, for their buffers.
  Ticket open_ticket_ = 1;
  Hurry hurry_ = Hurry::No;
  std::vector<CommitTarget*> targets_;
  std::deque<std::vector<CommitTarget*>> in_flight_;  ///< The first is of the ticket `open_ticket_ - size`.
  std::size_t asked_ = 0;
};

}  // namespace jamsocket::store

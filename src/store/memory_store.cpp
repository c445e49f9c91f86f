#include "store/memory_store.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "store/packing.hpp"

namespace jamsocket::store {

bool MemoryStore::commit_one() {
  if (jobs_.empty()) {
    return false;
  }
  auto job = std::move(jobs_.front());
  jobs_.pop_front();
  if (auto* submitted = std::get_if<Submitted>(&job)) {
    keep(submitted->batch);
    if (submitted->done) {
      submitted->done(std::move(submitted->batch));
    }
  } else {
    auto& asked = std::get<Asked>(job);
    asked.found(read(asked.name, asked.extent));
  }
  return true;
}

void MemoryStore::commit_all() {
  while (commit_one()) {
  }
}

std::vector<SleepingRoom> MemoryStore::sleeping() const {
  std::vector<SleepingRoom> rooms;
  for (const auto& [name, room] : disk_->rooms) {
    std::int64_t timer_ms = room.stored.checkpoint ? room.stored.checkpoint->timer_ms : 0;
    if (!room.log.empty()) {
      timer_ms = room.log.rbegin()->second.timer_ms;
    }
    if (timer_ms != 0) {
      rooms.push_back({.name = room.stored.name, .timer_ms = timer_ms});
    }
  }
  return rooms;
}

MemoryDisk::Room* MemoryStore::room_of(RoomKey key) {
  const auto found =
      std::ranges::find_if(disk_->rooms, [&](const auto& entry) { return entry.second.stored.key == key; });
  return found != disk_->rooms.end() ? &found->second : nullptr;
}

void MemoryStore::keep(const Batch& batch) {
  for (const RoomKey key : batch.removed) {
    std::erase_if(disk_->rooms, [&](const auto& entry) { return entry.second.stored.key == key; });
  }
  for (const Batch::Created& created : batch.created) {
    const bool inserted = disk_->rooms
                              .emplace(std::pair(created.name.service, created.name.id),
                                       MemoryDisk::Room{.stored = {.key = created.key,
                                                                   .name = created.name,
                                                                   .birth = created.birth,
                                                                   .checkpoint = {},
                                                                   .tail = {}},
                                                        .log = {}})
                              .second;
    JAM_CHECK(inserted);
  }
  for (const Batch::Appended& appended : batch.appended) {
    MemoryDisk::Room* const room = room_of(appended.key);
    JAM_CHECK(room != nullptr);
    JAM_CHECK(appended.number == (room->log.empty() ? 1 : room->log.rbegin()->first + 1));
    room->log.emplace(appended.number, Record{.number = appended.number,
                                              .timer_ms = appended.timer_ms,
                                              .bytes = std::string(batch.bytes_of(appended))});
  }
  for (const Batch::Checkpointed& each : batch.checkpoints) {
    if (checkpoints_follow) {
      checkpoints_.push_back(each);
    } else {
      keep(each);
    }
  }
  for (const PackedCheckpoint& packed : batch.replaced) {
    replace(packed);
  }
}

void MemoryStore::keep(const Batch::Checkpointed& checkpoint) {
  MemoryDisk::Room* const room = room_of(checkpoint.key);
  if (room != nullptr && (!room->stored.checkpoint || room->stored.checkpoint->number < checkpoint.checkpoint.number)) {
    room->stored.checkpoint = checkpoint.checkpoint;
  }
}

bool MemoryStore::keep_checkpoint() {
  if (checkpoints_.empty()) {
    return false;
  }
  keep(checkpoints_.front());
  checkpoints_.pop_front();
  return true;
}

void MemoryStore::replace(const PackedCheckpoint& packed) {
  if (MemoryDisk::Room* const room = room_of(packed.key); room != nullptr) {
    auto checkpoint = unpack(packed);
    JAM_CHECK(checkpoint);
    room->stored.checkpoint = std::move(*checkpoint);
  }
}

Result<std::optional<StoredRoom>> MemoryStore::read(const RoomName& name, Extent extent) const {
  if (disk_->damaged.contains({name.service, name.id})) {
    return fail(ErrorCode::Malformed, "its checkpoint is damaged");
  }
  const auto found = disk_->rooms.find({name.service, name.id});
  if (found == disk_->rooms.end()) {
    return std::nullopt;
  }
  StoredRoom room = found->second.stored;
  if (extent == Extent::Whole) {
    room.checkpoint.reset();  // This disk forgets nothing.
  }
  const std::uint64_t covered = room.checkpoint ? room.checkpoint->number : 0;
  for (const auto& [number, record] : found->second.log) {
    if (number > covered) {
      room.tail.push_back(record);
    }
  }
  return room;
}

}  // namespace jamsocket::store

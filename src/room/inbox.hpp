// room/inbox.hpp
//
// Events that wait for their room, with their bytes copied out of the receive buffer.
//
// Two flat buffers that are reused: an event costs an append, no allocation. Rooms without waiting
// events hold no inbox at all; the shard keeps a few empty ones in a pool.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "service/event.hpp"

namespace jamsocket::room {

class Inbox {
 public:
  struct Item {
    service::EventKind kind = service::EventKind::Timer;
    bool is_mark = false;  ///< No event: the client's connection goes once what was before it has been handled.
    ClientId client{};
    std::size_t offset = 0;  ///< Of the payload; Connect: the index of its info.
    std::size_t length = 0;
  };

  void add(service::EventKind kind, ClientId client, std::string_view payload) {
    items_.push_back({kind, false, client, bytes_.size(), payload.size()});
    bytes_.append(payload);
  }
  void add_connect(ClientId client, std::unique_ptr<service::ConnectInfo> info) {
    items_.push_back({service::EventKind::Connect, false, client, infos_.size(), 0});
    infos_.push_back(std::move(info));
  }
  void add_mark(ClientId client) { items_.push_back({service::EventKind::Disconnect, true, client, 0, 0}); }
  [[nodiscard]] bool next_is_mark() const { return items_[next_].is_mark; }
  [[nodiscard]] ClientId take_mark() { return items_[next_++].client; }

  [[nodiscard]] bool exhausted() const { return next_ == items_.size(); }
  [[nodiscard]] std::size_t waiting() const { return items_.size() - next_; }
  /// What the events hold in memory, those taken already included.
  [[nodiscard]] std::size_t bytes() const { return bytes_.size() + items_.size() * sizeof(Item); }

  /// The next event but for its time and number; its views are valid until `clear`.
  [[nodiscard]] service::Event take() {
    const Item& item = items_[next_++];
    service::Event event{.kind = item.kind, .client = item.client};
    if (item.kind == service::EventKind::Connect) {
      event.connect_info = infos_[item.offset].get();
    } else {
      event.payload = std::string_view(bytes_).substr(item.offset, item.length);
    }
    return event;
  }

  void clear() {
    items_.clear();
    bytes_.clear();
    infos_.clear();
    next_ = 0;
  }
  /// What it holds on to, used or not.
  [[nodiscard]] std::size_t capacity_bytes() const { return bytes_.capacity() + items_.capacity() * sizeof(Item); }

 private:
  std::vector<Item> items_;
  std::string bytes_;
  std::vector<std::unique_ptr<service::ConnectInfo>> infos_;
  std::size_t next_ = 0;
};

class InboxPool {
 public:
  [[nodiscard]] std::unique_ptr<Inbox> take() {
    if (empty_.empty()) {
      return std::make_unique<Inbox>();
    }
    auto inbox = std::move(empty_.back());
    empty_.pop_back();
    kept_bytes_ -= inbox->capacity_bytes();
    return inbox;
  }
  void give_back(std::unique_ptr<Inbox> inbox) {
    if (inbox != nullptr && empty_.size() < kKept && kept_bytes_ + inbox->capacity_bytes() <= kKeptBytes) {
      inbox->clear();
      kept_bytes_ += inbox->capacity_bytes();
      empty_.push_back(std::move(inbox));
    }
  }

 private:
  // Enough that a busy shard asks the system for no memory; a bound for one that was busy once.
  static constexpr std::size_t kKept = 64;
  static constexpr std::size_t kKeptBytes = std::size_t{8} << 20U;
  std::vector<std::unique_ptr<Inbox>> empty_;
  std::size_t kept_bytes_ = 0;
};

}  // namespace jamsocket::room

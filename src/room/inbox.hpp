// room/inbox.hpp
//
// Events that wait for their room, with their bytes: copied, or left where they were received for those
// that run before the receive buffer is used again, which are nearly all.
//
// Flat buffers that are reused: an event costs an append, no allocation. Rooms without waiting
// events hold no inbox at all; the shard keeps a few empty ones in a pool.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/reused_list.hpp"
#include "service/event.hpp"

namespace jamsocket::room {

class Inbox {
 public:
  struct Item {
    service::EventKind kind = service::EventKind::Timer;
    bool is_mark = false;  ///< No event: the client's connection goes once what was before it has been handled.
    ClientId client{};
    const char* elsewhere = nullptr;  ///< Where the payload is; null: in `bytes_`.
    std::size_t offset = 0;           ///< Of the payload there; Connect: the index of its info.
    std::size_t length = 0;
  };

  void add(service::EventKind kind, ClientId client, std::string_view payload) {
    items_.push_back({.kind = kind, .client = client, .offset = bytes_.size(), .length = payload.size()});
    bytes_.append(payload);
  }
  /// The same, but the payload stays where it is.
  void add_borrowed(service::EventKind kind, ClientId client, std::string_view payload) {
    items_.push_back({.kind = kind, .client = client, .elsewhere = payload.data(), .length = payload.size()});
    borrowed_bytes_ += payload.size();
    has_borrowed_ = true;
  }
  void add_connect(ClientId client, std::unique_ptr<service::ConnectInfo> info) {
    items_.push_back({.kind = service::EventKind::Connect, .client = client, .offset = infos_.size()});
    infos_.push_back(std::move(info));
  }
  void add_mark(ClientId client) {
    items_.push_back({.kind = service::EventKind::Disconnect, .is_mark = true, .client = client});
  }
  [[nodiscard]] bool next_is_mark() const { return items_[next_].is_mark; }
  [[nodiscard]] ClientId take_mark() { return items_[next_++].client; }
  [[nodiscard]] bool next_is_timer() const {
    return !next_is_mark() && items_[next_].kind == service::EventKind::Timer;
  }
  void skip() { ++next_; }

  [[nodiscard]] bool exhausted() const { return next_ == items_.size(); }
  [[nodiscard]] std::size_t waiting() const { return items_.size() - next_; }
  /// What the events hold in memory, those taken already included.
  [[nodiscard]] std::size_t bytes() const { return bytes_.size() + borrowed_bytes_ + items_.size() * sizeof(Item); }
  /// Whether it ever borrowed a payload since it was empty.
  [[nodiscard]] bool has_borrowed() const { return has_borrowed_; }

  /// The next event but for its time, number and monitor; its views are valid until `clear`.
  void take(service::Event& event) {
    const Item& item = items_[next_++];
    event.kind = item.kind;
    event.client = item.client;
    if (item.kind == service::EventKind::Connect) [[unlikely]] {
      event.connect_info = infos_[item.offset].get();
      event.payload = {};
    } else {
      event.connect_info = nullptr;
      event.payload = payload_of(item);
    }
  }

  /// Hands what waits on to `other`, which has payloads of its own for all of it.
  void move_waiting_to(Inbox& other) {
    for (; next_ < items_.size(); ++next_) {
      const Item& item = items_[next_];
      if (item.is_mark) {
        other.add_mark(item.client);
      } else if (item.kind == service::EventKind::Connect) {
        other.add_connect(item.client, std::move(infos_[item.offset]));
      } else {
        other.add(item.kind, item.client, payload_of(item));
      }
    }
  }

  void clear() {
    items_.clear();
    bytes_.clear();
    infos_.clear();
    next_ = 0;
    borrowed_bytes_ = 0;
    has_borrowed_ = false;
  }
  /// What it holds on to, used or not.
  [[nodiscard]] std::size_t capacity_bytes() const { return bytes_.capacity() + items_.capacity() * sizeof(Item); }

 private:
  [[nodiscard]] std::string_view payload_of(const Item& item) const {
    return {item.elsewhere != nullptr ? item.elsewhere : bytes_.data() + item.offset, item.length};
  }

  ReusedList<Item> items_;
  std::string bytes_;
  std::vector<std::unique_ptr<service::ConnectInfo>> infos_;
  std::size_t next_ = 0;
  std::size_t borrowed_bytes_ = 0;
  bool has_borrowed_ = false;
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

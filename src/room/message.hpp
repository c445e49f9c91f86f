// room/message.hpp
//
// A message on its way to some of a room's clients, and the forms in which they get it.
//
// Clients differ in how they want a message on the wire (plain, or compressed as they agreed). Each
// form is made when the first client needs it, and shared by all that want the same.

#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/output.hpp"

namespace jamsocket::room {

class Message {
 public:
  /// `frame`: the bytes for the wire, plain, if they are there already; else no chunk.
  Message(MessageKind message_kind, std::string_view message_payload, Slice frame = {})
      : kind(message_kind), payload(message_payload), plain_(frame) {}

  /// The bytes for the wire; `make` makes them, at most once.
  template <class Make>
  Slice plain(Make make) {
    if (plain_.chunk == nullptr) [[unlikely]] {
      plain_ = make();
    }
    plain_is_used_ = true;
    return plain_;
  }
  /// Whether anybody got it plain.
  [[nodiscard]] bool plain_is_used() const { return plain_is_used_; }
  /// The same for a form other than plain; `form` is any number that names it.
  template <class Make>
  Slice in_form(std::uint32_t form, Make make) {
    const auto found = std::ranges::find(forms_, form, &std::pair<std::uint32_t, Slice>::first);
    return found != forms_.end() ? found->second : forms_.emplace_back(form, make()).second;
  }

  const MessageKind kind;
  const std::string_view payload;

 private:
  Slice plain_;
  bool plain_is_used_ = false;
  std::vector<std::pair<std::uint32_t, Slice>> forms_;
};

}  // namespace jamsocket::room

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

enum class MessageKind : std::uint8_t { Text, Binary };

class Message {
 public:
  /// `message_frame`: the payload, behind room for its head, where it can leave from; or no chunk.
  Message(MessageKind message_kind, std::string_view message_payload, Slice message_frame = {})
      : kind(message_kind), payload(message_payload), frame(message_frame) {}

  /// The bytes for the wire; `make` makes them, at most once.
  template <class Make>
  Slice plain(Make make) {
    if (plain_.chunk == nullptr) {
      plain_ = make();
    }
    return plain_;
  }
  [[nodiscard]] bool has_plain() const { return plain_.chunk != nullptr; }
  /// The same for a form other than plain; `form` is any number that names it.
  template <class Make>
  Slice in_form(std::uint32_t form, Make make) {
    const auto found = std::ranges::find(forms_, form, &std::pair<std::uint32_t, Slice>::first);
    return found != forms_.end() ? found->second : forms_.emplace_back(form, make()).second;
  }

  const MessageKind kind;
  const std::string_view payload;
  const Slice frame;

 private:
  Slice plain_;
  std::vector<std::pair<std::uint32_t, Slice>> forms_;
};

}  // namespace jamsocket::room

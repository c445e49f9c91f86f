// examples/chat/chat.cpp
//
// A chat room: names from the query string, who is here, notes about who comes and goes.
//
// A client connects to /ws/{room}?name=Ada. Every message is one line of text:
//   "you are Ada; here: Bob, Cy"   to the newcomer
//   "Ada joined", "Ada left"       to the others
//   "Ada: hello"                   to everyone, the sender included, so that all see one order
// "/who" answers who is here, "/quit" leaves.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <jamsocket/service.hpp>

namespace chat {

constexpr std::size_t kNameBytesMax = 32;
constexpr std::size_t kTextBytesMax = 4000;
constexpr std::uint16_t kCloseCodeQuit = 4000;

constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// Percent-decoded; what is no valid escape is kept as it is.
inline std::string decoded(std::string_view encoded) {
  std::string text;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    const int high = i + 2 < encoded.size() ? hex_digit(encoded[i + 1]) : -1;
    const int low = i + 2 < encoded.size() ? hex_digit(encoded[i + 2]) : -1;
    if (encoded[i] == '%' && high >= 0 && low >= 0) {
      text += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      text += encoded[i] == '+' ? ' ' : encoded[i];
    }
  }
  return text;
}

/// The value of `key` in a query string, decoded; nothing if it is absent.
inline std::optional<std::string> query_value(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(pair.size() < query.size() ? pair.size() + 1 : pair.size());
    if (pair.starts_with(key) && pair.size() > key.size() && pair[key.size()] == '=') {
      return decoded(pair.substr(key.size() + 1));
    }
  }
  return std::nullopt;
}

/// Letters, digits and spaces of ASCII, and "-_.": what cannot be mistaken for something else in a line.
inline bool is_good_name(std::string_view name) {
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && c != ' ' && c != '-' && c != '_' && c != '.') {
      return false;
    }
  }
  return !name.empty() && name.size() <= kNameBytesMax && name.front() != ' ' && name.back() != ' ';
}

}  // namespace chat

class ChatRoom {
 public:
  ChatRoom(std::string_view /*room_id*/, jamsocket::Context& /*context*/) {}

  void connect(jamsocket::ClientId client, const jamsocket::ClientInfo& info, jamsocket::Context& context) {
    const std::string wanted =
        chat::query_value(info.query(), "name").value_or("guest " + std::to_string(static_cast<std::uint32_t>(client)));
    if (!chat::is_good_name(wanted)) {
      context.refuse("A name has 1 to 32 letters, digits, spaces, or any of '-_.'.");
      return;
    }
    const std::string name = free_name(wanted);
    context.send_message(client, "you are " + name + "; here: " + (names_.empty() ? "nobody else" : list()));
    context.send_message(jamsocket::everyone_except(client), name + " joined");
    names_[client] = name;
  }

  void disconnect(jamsocket::ClientId client, jamsocket::Context& context) {
    context.send_message(jamsocket::broadcast, names_[client] + " left");
    names_.erase(client);
  }

  void message(jamsocket::ClientId client, std::string_view text, jamsocket::Context& context) {
    if (text == "/who") {
      context.send_message(client, "here: " + list());
    } else if (text == "/quit") {
      context.close(client, chat::kCloseCodeQuit, "goodbye");
    } else if (text.size() > chat::kTextBytesMax) {
      context.send_message(client, "too long: a message has at most 4000 bytes");
    } else if (!text.empty()) {
      context.send_message(jamsocket::broadcast, names_[client] + ": " + std::string(text));
    }
  }

 private:
  bool is_taken(std::string_view name) const {
    for (const auto& [client, taken] : names_) {
      if (taken == name) {
        return true;
      }
    }
    return false;
  }

  /// "Ada", or "Ada.2" while there is an Ada. Refusing the second would lock out a client that
  /// comes back before the server has noticed that its old connection is dead.
  std::string free_name(const std::string& wanted) const {
    std::string name = wanted;
    for (int number = 2; is_taken(name); ++number) {
      name = wanted + "." + std::to_string(number);
    }
    return name;
  }

  std::string list() const {
    std::string text;
    for (const auto& [client, name] : names_) {
      text += (text.empty() ? "" : ", ") + name;
    }
    return text;
  }

  std::map<jamsocket::ClientId, std::string> names_;
};

JAMSOCKET_WASM(ChatRoom)

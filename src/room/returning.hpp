// room/returning.hpp
//
// Clients that come back: somebody whose connection ends is absent for a while, and takes the old place with a new
// connection. The service hears of neither.
//
// A room has this only if its service is so configured. Who comes back is told by the subject of its token, or by
// an opaque token of the room's own, which the client was given when it joined.
//
// Thread: the room's shard's.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "room/client_link.hpp"

namespace jamsocket::room {

class Room;

struct ReturnSettings {
  std::chrono::milliseconds within{0};  ///< For so long a place is kept; 0: nobody comes back.
  /// What becomes of one who is there already: the newer connection takes the place, or both have one.
  enum class Twice : std::uint8_t { Newer, Both } twice = Twice::Newer;
  Telling telling;
  std::size_t queue_bytes_max = 0;  ///< Of messages kept for one who is absent. Beyond, and at 0: they are lost.
};

class Returning {
 public:
  explicit Returning(Room& room);
  ~Returning();
  Returning(const Returning&) = delete;
  Returning& operator=(const Returning&) = delete;

  /// Whose place somebody with that resume token (perhaps empty) and that subject (perhaps empty) takes.
  [[nodiscard]] std::optional<ClientId> find(std::string_view resume, std::string_view subject) const;
  /// @return the newcomer's resume token.
  std::string add(ClientId client, std::string_view subject);
  /// `connect` ran: from here on its place is kept.
  void admitted(ClientId client);
  [[nodiscard]] bool is_admitted(ClientId client) const;
  [[nodiscard]] bool is_absent(ClientId client) const;

  /// @return what stands for the client meanwhile.
  ClientLink& begin_absence(ClientId client);
  /// The connection took the place: it gets what was kept for it.
  void end_absence(ClientId client, ClientLink& link);

  /// The client's last words are still to be heard: `link` goes when the room passes its mark in the inbox.
  void leaves_in_order(ClientId client, ClientLink& link);
  /// @return whether `link` is the one that the mark was set for; then it is so no longer.
  [[nodiscard]] bool left_in_order(ClientId client, const ClientLink* link);
  /// The connection by which a client is there has changed: an older mark means nothing.
  void connection_changed(ClientId client);
  [[nodiscard]] std::string resume_token(ClientId client) const;

  /// The room has forgotten the client.
  /// @return a link that may be told so: `link`, unless that stood for one who was absent.
  ClientLink* forget(ClientId client, ClientLink* link);
  void clear();

 private:
  class Absence;
  class Nobody;
  struct Entry {
    std::string subject;
    std::string secret;
    bool is_admitted = false;
    ClientLink* leaving = nullptr;
    std::unique_ptr<Absence> absence;
  };
  [[nodiscard]] bool may_take(const Entry& entry) const;

  Room& room_;
  std::map<ClientId, Entry> entries_;
  std::multimap<std::string, ClientId, std::less<>> by_subject_;
  std::unique_ptr<Nobody> nobody_;
};

}  // namespace jamsocket::room

#include "room/returning.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "auth/keys.hpp"
#include "base/check.hpp"
#include "base/number.hpp"
#include "room/room.hpp"

namespace jamsocket::room {
namespace {
constexpr std::size_t kSecretBytes = 16;
}  // namespace

class Returning::Nobody : public ClientLink {
 public:
  void subprotocol_accepted(std::string_view /*name*/) override {}
  void admitted() override {}
  void refused(std::string_view) override {}
  void room_failed() override {}
  void push(Message&) override {}
  void close(std::uint16_t, std::string_view) override {}
  void left() override {}
  void resume_reading() override {}
  void numbered(ClientId) override {}
  void room_unknown() override {}
  void unavailable(std::string_view) override {}
};

// Somebody who is not there, and may come back.
class Returning::Absence final : public Nobody, public io::TimerTarget {
 public:
  Absence(Room& room, ClientId client) : room_(room), client_(client) {
    room.host_.timers().schedule(node_, room.host_.steady_now() + room.settings().returning.within);
  }

  void push(Message& message) override {
    if (queued_bytes_ + message.payload.size() > room_.settings().returning.queue_bytes_max) {
      room_.host_.counters().add(Counter::MessagesMissed);
      is_full_ = true;
      return;
    }
    // What came later would reach it without what came before.
    if (is_full_) {
      room_.host_.counters().add(Counter::MessagesMissed);
      return;
    }
    queued_bytes_ += message.payload.size();
    queue_.emplace_back(message.kind, message.payload);
  }
  [[nodiscard]] LinkFacts facts() const override {
    return {.remote_address = {}, .queued_bytes = queued_bytes_, .is_absent = true};
  }

  void give_to(ClientLink& link) {
    for (const auto& [kind, payload] : queue_) {
      Message message(kind, payload);
      link.push(message);
    }
  }

  void on_timer() override { room_.absence_over(client_); }

 private:
  Room& room_;
  ClientId client_;
  std::vector<std::pair<MessageKind, std::string>> queue_;
  std::size_t queued_bytes_ = 0;
  bool is_full_ = false;
  io::TimerNode node_{*this};
};

Returning::Returning(Room& room) : room_(room), nobody_(std::make_unique<Nobody>()) {}
Returning::~Returning() = default;

bool Returning::may_take(const Entry& entry) const {
  return entry.absence != nullptr || room_.settings().returning.twice == ReturnSettings::Twice::Newer;
}

std::optional<ClientId> Returning::find(std::string_view resume, std::string_view subject) const {
  const std::size_t dash = resume.find('-');
  const auto number = parse_number<std::uint32_t>(resume.substr(0, dash));
  if (number && dash != std::string_view::npos) {
    const std::string_view secret = resume.substr(dash + 1);
    const auto found = entries_.find(ClientId{*number});
    if (found != entries_.end() && auth::equal_secrets(found->second.secret, secret) &&
        found->second.subject == subject && may_take(found->second)) {
      return found->first;
    }
  }
  if (subject.empty()) {
    return std::nullopt;
  }
  const auto [first, last] = by_subject_.equal_range(subject);
  const auto taken = std::find_if(first, last, [&](const auto& one) { return may_take(entries_.at(one.second)); });
  return taken != last ? std::optional(taken->second) : std::nullopt;
}

std::string Returning::add(ClientId client, std::string_view subject) {
  Entry& entry = entries_[client];
  entry.subject = subject;
  entry.secret = auth::random_secret(kSecretBytes);
  if (!subject.empty()) {
    by_subject_.emplace(subject, client);
  }
  return resume_token(client);
}

std::string Returning::resume_token(ClientId client) const {
  return fmt::format("{}-{}", static_cast<std::uint32_t>(client), entries_.at(client).secret);
}

void Returning::admitted(ClientId client) {
  if (const auto found = entries_.find(client); found != entries_.end()) {
    found->second.is_admitted = true;
  }
}

bool Returning::is_admitted(ClientId client) const {
  const auto found = entries_.find(client);
  return found != entries_.end() && found->second.is_admitted;
}

bool Returning::is_absent(ClientId client) const {
  const auto found = entries_.find(client);
  return found != entries_.end() && found->second.absence != nullptr;
}

ClientLink& Returning::begin_absence(ClientId client) {
  Entry& entry = entries_.at(client);
  JAM_CHECK(entry.absence == nullptr);
  entry.leaving = nullptr;
  entry.absence = std::make_unique<Absence>(room_, client);
  return *entry.absence;
}

void Returning::end_absence(ClientId client, ClientLink& link) {
  const std::unique_ptr<Absence> absence = std::move(entries_.at(client).absence);
  JAM_CHECK(absence != nullptr);
  absence->give_to(link);
}

void Returning::leaves_in_order(ClientId client, ClientLink& link) { entries_.at(client).leaving = &link; }

bool Returning::left_in_order(ClientId client, const ClientLink* link) {
  const auto found = entries_.find(client);
  return found != entries_.end() && found->second.leaving != nullptr &&
         std::exchange(found->second.leaving, nullptr) == link;
}

void Returning::connection_changed(ClientId client) { entries_.at(client).leaving = nullptr; }

ClientLink* Returning::forget(ClientId client, ClientLink* link) {
  const auto found = entries_.find(client);
  if (found == entries_.end()) {
    return link;
  }
  const auto [first, last] = by_subject_.equal_range(found->second.subject);
  const auto named = std::find_if(first, last, [client](const auto& one) { return one.second == client; });
  if (named != last) {
    by_subject_.erase(named);
  }
  const bool was_absent = found->second.absence != nullptr;
  entries_.erase(found);
  return was_absent ? nobody_.get() : link;
}

void Returning::clear() {
  entries_.clear();
  by_subject_.clear();
}

}  // namespace jamsocket::room

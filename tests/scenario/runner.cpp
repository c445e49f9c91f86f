#include "runner.hpp"

#include <algorithm>
#include <map>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "server/server.hpp"
#include "test_client.hpp"

namespace jamsocket::scenario {
namespace {

// Timers that set themselves again are seen as often as virtual time stops: once a second.
constexpr Milliseconds kStep{1000};
// How often clients show that they are alive while virtual time passes; the server asks every 25 s.
constexpr Milliseconds kSignOfLife{10'000};

std::unexpected<Error> unexpected_outcome(std::string message) {
  return fail(ErrorCode::InvalidArgument, std::move(message));
}

std::string describe(const Received& received) {
  switch (received.kind) {
    case Received::Kind::Text:
      return quoted(received.payload);
    case Received::Kind::Binary:
      return "bytes " + hex(received.payload);
    case Received::Kind::Closed:
      return "a close with " + std::to_string(received.close_code) + " " + quoted(received.payload);
    case Received::Kind::Lost:
      break;
  }
  return "the end of the connection without a close";
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    out += plain ? std::string(1, c) : "%" + hex(std::string_view(&c, 1));
  }
  return out;
}

std::string target_of(const Step& step) {
  return "/ws/" + percent_encoded(step.room) + (step.query.empty() ? "" : "?" + step.query);
}

/// @error InvalidArgument  an option this runner does not know.
Result<ServerOptions> options_of(const Scenario& scenario) {
  ServerOptions options;
  options.port = 0;
  options.shards = 2;  // So that sockets are handed over between shards.
  for (const Option& option : scenario.options) {
    if (option.name == "room_strategy") {
      options.room_strategy = option.value;
    } else if (option.name == "shutdown_policy") {
      options.shutdown_policy = option.value;
    } else if (option.name == "outbound_bytes_max") {
      options.limits.outbound_bytes_max = std::stoul(option.value);
    } else {
      return fail(ErrorCode::InvalidArgument,
                  "options are room_strategy, shutdown_policy, outbound_bytes_max; not " + option.name);
    }
  }
  return options;
}

class Run {
 public:
  Run(server::Server& server, ManualClock& clock) : server_(server), clock_(clock) {}

  Result<void> step(const Step& step) {
    switch (step.kind) {
      case StepKind::Connects:
        return connects(step);
      case StepKind::IsRefused:
        return is_refused(step);
      case StepKind::After:
        return after(step.delay);
      default:
        break;
    }
    const auto client = clients_.find(step.client);
    if (client == clients_.end()) {
      return unexpected_outcome(step.client + " is not connected");
    }
    switch (step.kind) {
      case StepKind::SendsText:
        return client->second->send_text(step.text);
      case StepKind::SendsBytes:
        return client->second->send_binary(step.text);
      case StepKind::GetsNothing:
        return gets_nothing(*client->second);
      case StepKind::Disconnects:
        return leaves(client, Leave::Orderly);
      case StepKind::Resets:
        return leaves(client, Leave::Reset);
      case StepKind::Vanishes:
        vanished_.push_back(std::move(client->second));
        clients_.erase(client);
        return {};
      case StepKind::IsClosed:
        return is_closed(step, client);
      default:
        return gets(step, *client->second);
    }
  }

  /// Whatever was sent and not asked for is a mistake in the server or in the scenario.
  Result<void> finish() {
    JAM_TRY_VOID(settle());
    for (const auto& [name, client] : clients_) {
      if (!client->inbox().empty()) {
        return unexpected_outcome("at the end " + name + " also got " + describe(client->inbox().front()));
      }
    }
    return {};
  }

 private:
  using Clients = std::map<std::string, std::unique_ptr<TestClient>>;
  enum class Leave : std::uint8_t { Orderly, Reset };

  Result<void> connects(const Step& step) {
    if (clients_.contains(step.client)) {
      return unexpected_outcome(step.client + " is connected already");
    }
    TestClient::Answer answer = JAM_TRY(TestClient::connect(server_.port(), target_of(step), real_time_));
    if (answer.client == nullptr) {
      return unexpected_outcome("the upgrade was answered " + std::to_string(answer.status) + ": " + answer.body);
    }
    clients_[step.client] = std::move(answer.client);
    return {};
  }

  Result<void> is_refused(const Step& step) {
    const TestClient::Answer answer = JAM_TRY(TestClient::connect(server_.port(), target_of(step), real_time_));
    if (answer.status != static_cast<int>(step.number)) {
      return unexpected_outcome("expected a refusal with " + std::to_string(step.number) + ", got " +
                                std::to_string(answer.status));
    }
    return {};
  }

  Result<void> after(Milliseconds delay) {
    JAM_TRY_VOID(settle());
    Milliseconds since_life{0};
    while (delay > Milliseconds{0}) {
      const Milliseconds step = std::min(delay, kStep);
      clock_.advance(step);
      server_.clock_moved();
      delay -= step;
      since_life += step;
      if (since_life >= kSignOfLife) {
        since_life = Milliseconds{0};
        JAM_TRY_VOID(settle());
      }
    }
    return settle();
  }

  /// When it returns, everything that clients have sent so far has been handled by their rooms, and
  /// what came of it has been read. Two rounds, because a pong may overtake, within a turn of the
  /// server's loop, the effects of the messages before it.
  Result<void> settle() {
    for (int round = 0; round < 2; ++round) {
      server_.clock_moved();
      for (const auto& [name, client] : clients_) {
        client->barrier_begin();
      }
      for (const auto& [name, client] : clients_) {
        JAM_TRY_VOID(client->barrier_end());
      }
    }
    return {};
  }

  Result<void> gets_nothing(TestClient& client) {
    JAM_TRY_VOID(settle());
    if (!client.inbox().empty()) {
      return unexpected_outcome("expected nothing, got " + describe(client.inbox().front()));
    }
    return {};
  }

  Result<void> leaves(Clients::iterator client, Leave how) {
    if (!client->second->inbox().empty()) {
      return unexpected_outcome("before leaving, there was " + describe(client->second->inbox().front()));
    }
    if (how == Leave::Reset) {
      client->second->reset();
    } else {
      JAM_TRY_VOID(client->second->close());
    }
    clients_.erase(client);
    return settle();  // The room knows before virtual time moves on.
  }

  static Result<void> gets(const Step& step, TestClient& client) {
    const Received received = JAM_TRY(client.next());
    std::string expected;
    bool matches = false;
    switch (step.kind) {
      case StepKind::GetsText:
        expected = quoted(step.text);
        matches = received.kind == Received::Kind::Text && received.payload == step.text;
        break;
      case StepKind::GetsBytes:
        expected = "bytes " + hex(step.text);
        matches = received.kind == Received::Kind::Binary && received.payload == step.text;
        break;
      case StepKind::GetsMatching:
        expected = "a text matching " + quoted(step.text);
        matches = received.kind == Received::Kind::Text && std::regex_match(received.payload, std::regex(step.text));
        break;
      default:
        expected = "bytes of length " + std::to_string(step.number);
        matches = received.kind == Received::Kind::Binary && received.payload.size() == step.number;
        break;
    }
    if (!matches) {
      return unexpected_outcome("expected " + expected + ", got " + describe(received));
    }
    return {};
  }

  Result<void> is_closed(const Step& step, Clients::iterator client) {
    const Received received = JAM_TRY(client->second->next());
    const bool matches = received.kind == Received::Kind::Closed && received.close_code == step.number &&
                         (!step.has_text || received.payload == step.text);
    if (!matches) {
      return unexpected_outcome("expected a close with " + std::to_string(step.number) +
                                (step.has_text ? " " + quoted(step.text) : "") + ", got " + describe(received));
    }
    clients_.erase(client);
    return {};
  }

  server::Server& server_;
  ManualClock& clock_;
  SystemClock real_time_;
  Clients clients_;
  std::vector<std::unique_ptr<TestClient>> vanished_;
};

}  // namespace

Result<void> run_scenario(std::string_view file, const Scenario& scenario, std::unique_ptr<service::Service> service) {
  const std::unique_ptr<Logger> logger = JAM_TRY(make_stderr_logger({}));
  ManualClock clock;
  const ServerOptions options = JAM_TRY(options_of(scenario));
  const auto server = JAM_TRY(server::Server::create(options, std::move(service), {.logger = *logger, .clock = clock}));
  JAM_TRY_VOID(server->start());
  Result<void> outcome;
  {
    Run run(*server, clock);
    for (const Step& step : scenario.steps) {
      outcome = run.step(step);
      if (!outcome) {
        outcome.error().message = std::string(file) + ":" + std::to_string(step.line) + ": " +
                                  (step.client.empty() ? "" : step.client + ": ") + outcome.error().message;
        break;
      }
    }
    if (outcome) {
      outcome = run.finish();
    }
  }
  server->stop();
  return outcome;
}

}  // namespace jamsocket::scenario

// jamsocket token: makes tokens, and keys to make them with, for trying out.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "auth/keys.hpp"
#include "auth/token.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "io/socket.hpp"

namespace jamsocket::cli {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kSecondsMax = 3'155'760'000;  // A century.

struct State {
  std::string new_key;
  std::string algorithm = "HS256";
  std::string key;
  std::string key_id;
  std::string subject;
  std::string issuer;
  std::vector<std::string> audiences;
  std::vector<std::string> rooms;
  std::vector<std::string> claims;
  std::int64_t seconds = 3600;
};

// Only its owner may read it; one that is there stays.
Result<void> write_secret_file(const std::string& path, const std::string& text) {
  const io::Socket file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.is_open()) {
    return fail(ErrorCode::Io, io::errno_message(fmt::format("cannot make {}", escape_for_log(path, 300))));
  }
  if (::write(file.fd(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return fail(ErrorCode::Io, io::errno_message(fmt::format("cannot write {}", escape_for_log(path, 300))));
  }
  return {};
}

int make_key(const State& state) {
  const auto algorithm = auth::parse_algorithm(state.algorithm);
  if (!algorithm) {
    return complain(
        fmt::format("there is no algorithm '{}'; there are: HS256, EdDSA, ES256", escape_for_log(state.algorithm, 40)),
        kExitUsage);
  }
  const std::string id = state.key_id.empty() ? std::filesystem::path(state.new_key).stem().string() : state.key_id;
  const auth::Key key = auth::Key::generate(*algorithm, id);
  if (const auto written = write_secret_file(state.new_key, key.to_jwk(auth::Key::Half::Private) + "\n"); !written) {
    return complain(written.error().message);
  }
  if (*algorithm == auth::Algorithm::HS256) {
    note(fmt::format("{}: a secret of HS256, with which tokens are made and checked (auth.token_keys)", state.new_key));
  } else {
    note(fmt::format("{}: the private half; what follows is the public one, for auth.token_keys", state.new_key));
    say(key.to_jwk(auth::Key::Half::Public));
  }
  return kExitDone;
}

// A claim as it was written: JSON if it is some, else a text. @return what is wrong with it; empty: nothing.
std::string add_claim(Json& claims, const std::string& name_and_value) {
  const std::size_t equals = name_and_value.find('=');
  if (equals == std::string::npos || equals == 0) {
    return fmt::format("--claim '{}' is not NAME=VALUE", escape_for_log(name_and_value, 80));
  }
  const std::string value = name_and_value.substr(equals + 1);
  const Json parsed = Json::parse(value, nullptr, false);
  claims[name_and_value.substr(0, equals)] = parsed.is_discarded() ? Json(value) : parsed;
  return {};
}

Json one_or_list(const std::vector<std::string>& texts) { return texts.size() == 1 ? Json(texts[0]) : Json(texts); }

int make_token(const State& state) {
  if (state.seconds < -kSecondsMax || state.seconds > kSecondsMax) {
    return complain(fmt::format("--for is {}; allowed: -{} to {} seconds", state.seconds, kSecondsMax, kSecondsMax),
                    kExitUsage);
  }
  const auto keys = auth::KeySet::load(state.key);
  if (!keys) {
    return complain(keys.error().message);
  }
  const bool is_only = state.key_id.empty() && keys->all().size() == 1;
  const auth::Key* const key = is_only ? &keys->all().front() : keys->find(state.key_id);
  if (key == nullptr) {
    return complain(state.key_id.empty() ? "there are several keys; which one? --id ID"
                                         : fmt::format("there is no key '{}'", escape_for_log(state.key_id, 80)),
                    kExitUsage);
  }
  const std::int64_t now = SystemClock().unix_ms() / 1000;
  Json claims{{"iat", now}, {"exp", now + state.seconds}};
  if (!state.subject.empty()) {
    claims["sub"] = state.subject;
  }
  if (!state.issuer.empty()) {
    claims["iss"] = state.issuer;
  }
  if (!state.audiences.empty()) {
    claims["aud"] = one_or_list(state.audiences);
  }
  if (!state.rooms.empty()) {
    claims["room"] = one_or_list(state.rooms);
  }
  for (const std::string& claim : state.claims) {
    if (const std::string wrong = add_claim(claims, claim); !wrong.empty()) {
      return complain(wrong, kExitUsage);
    }
  }
  const auto token = auth::make_token(*key, claims.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!token) {
    return complain(fmt::format("{}: {}", escape_for_log(state.key, 300), token.error().message));
  }
  if (token->size() > auth::kTokenBytesMax) {
    return complain(
        fmt::format("the token would have {} bytes; a server takes at most {}", token->size(), auth::kTokenBytesMax));
  }
  if (!claims.contains("sub")) {
    note("it has no subject (--sub): servers refuse it unless their auth.token_claims leaves sub out");
  }
  say(*token);
  return kExitDone;
}

int run(const State& state) {
  if (state.new_key.empty() == state.key.empty()) {
    return complain("'jamsocket token' needs --key FILE for a token, or --new-key FILE for a key", kExitUsage);
  }
  return state.key.empty() ? make_key(state) : make_token(state);
}

}  // namespace

Command add_token(CLI::App& whole) {
  auto state = std::make_shared<State>();
  CLI::App* app = whole.add_subcommand("token", "Makes a token for trying out, or a key to make tokens with");
  const auto add = [app](const char* name, auto& value, const char* type, const char* what) {
    app->add_option(name, value, what)->type_name(type);
  };
  add("--new-key", state->new_key, "FILE", "Makes a key, in this new file; prints its public half, if it has one");
  app->add_option("--alg", state->algorithm, "Of the new key: HS256, EdDSA or ES256")
      ->type_name("NAME")
      ->capture_default_str();
  add("--key", state->key, "FILE", "Makes a token, signed with the key in this file");
  add("--id", state->key_id, "TEXT", "The key's id; of a new one, its file's name if not given");
  add("--sub", state->subject, "TEXT", "The subject: who the client is");
  add("--room", state->rooms, "ROOM", "A room that it is good for, any room if not given; may be repeated");
  add("--aud", state->audiences, "TEXT", "An audience; may be repeated");
  add("--iss", state->issuer, "TEXT", "The issuer");
  add("--claim", state->claims, "NAME=VALUE", "A further claim, JSON or else a text; may be repeated");
  app->add_option("--for", state->seconds, "For how many seconds it is good")
      ->type_name("SECONDS")
      ->capture_default_str();
  return {.app = app, .run = [state] { return run(*state); }};
}

}  // namespace jamsocket::cli

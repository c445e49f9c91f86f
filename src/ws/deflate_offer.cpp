#include "ws/deflate_offer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/check.hpp"

namespace jamsocket::ws {
namespace {

struct Parameter {
  std::string name;
  std::optional<std::string> value;
};

struct Extension {
  std::string name;
  std::vector<Parameter> parameters;
};

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").contains(c);
}

// Reads the list of extensions from its front; each step is false where the grammar is broken.
class OffersReader {
 public:
  explicit OffersReader(std::string_view text) : rest_(text) {}

  bool read(std::vector<Extension>& extensions) {
    for (;;) {
      while (take(',')) {
        // Empty elements mean nothing: RFC 9110 section 5.6.1.2.
      }
      if (rest_.empty()) {
        return true;
      }
      Extension& extension = extensions.emplace_back();
      if (!token(extension.name)) {
        return false;
      }
      while (take(';')) {
        if (!parameter(extension.parameters.emplace_back())) {
          return false;
        }
      }
      if (!rest_.empty() && !rest_.starts_with(',')) {
        return false;
      }
    }
  }

 private:
  bool parameter(Parameter& parameter) {
    if (!token(parameter.name)) {
      return false;
    }
    if (!take('=')) {
      return true;
    }
    return rest_.starts_with('"') ? quoted(parameter.value.emplace()) : token(parameter.value.emplace());
  }

  bool token(std::string& out) {
    const auto end = std::ranges::find_if_not(rest_, is_token_char);
    out.assign(rest_.begin(), end);
    rest_.remove_prefix(out.size());
    skip_space();
    return !out.empty();
  }

  // A quoted string, which must hold a token once unquoted.
  bool quoted(std::string& out) {
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\') {
        rest_.remove_prefix(1);
      }
      if (rest_.empty() || !is_token_char(rest_.front())) {
        return false;
      }
      out += rest_.front();
      rest_.remove_prefix(1);
    }
    return !out.empty() && take('"');
  }

  bool take(char c) {
    skip_space();
    if (!rest_.starts_with(c)) {
      return false;
    }
    rest_.remove_prefix(1);
    skip_space();
    return true;
  }

  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }

  std::string_view rest_;
};

// 8 to 15, without leading zeros.
std::optional<std::uint8_t> window_bits(const std::string& text) {
  if (text == "8" || text == "9") {
    return static_cast<std::uint8_t>(text[0] - '0');
  }
  if (text.size() == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5') {
    return static_cast<std::uint8_t>(10 + text[1] - '0');
  }
  return std::nullopt;
}

struct Offer {
  bool server_no_takeover = false;
  bool client_no_takeover = false;
  std::optional<std::uint8_t> server_bits;
  std::optional<std::uint8_t> client_bits;  // 15 if named without a value: any will do.
};

bool read_parameter(const Parameter& parameter, Offer& offer) {
  const auto flag = [&parameter](bool& seen) {
    const bool is_good = !seen && !parameter.value;
    seen = true;
    return is_good;
  };
  if (parameter.name == "server_no_context_takeover") {
    return flag(offer.server_no_takeover);
  }
  if (parameter.name == "client_no_context_takeover") {
    return flag(offer.client_no_takeover);
  }
  if (parameter.name == "server_max_window_bits") {
    const bool is_first = !offer.server_bits;
    offer.server_bits = parameter.value ? window_bits(*parameter.value) : std::nullopt;
    return is_first && offer.server_bits.has_value();
  }
  if (parameter.name == "client_max_window_bits") {
    const bool is_first = !offer.client_bits;
    offer.client_bits = parameter.value ? window_bits(*parameter.value) : std::optional<std::uint8_t>(15);
    return is_first && offer.client_bits.has_value();
  }
  return false;
}

std::optional<AgreedDeflate> accept(const Extension& extension, const DeflateOptions& options) {
  constexpr std::uint8_t kServerBitsMin = 9;  // zlib's raw deflate has no window of 8 bits.
  Offer offer;
  if (extension.name != "permessage-deflate" ||
      !std::ranges::all_of(extension.parameters,
                           [&offer](const Parameter& parameter) { return read_parameter(parameter, offer); }) ||
      offer.server_bits.value_or(15) < kServerBitsMin) {
    return std::nullopt;
  }
  const bool takeover = options.takeover == ContextTakeover::Yes;
  AgreedDeflate agreed;
  DeflateAgreement& agreement = agreed.agreement;
  agreement.server_takeover = takeover && !offer.server_no_takeover ? ContextTakeover::Yes : ContextTakeover::No;
  agreement.client_takeover = takeover && !offer.client_no_takeover ? ContextTakeover::Yes : ContextTakeover::No;
  agreement.server_window_bits = std::min(options.server_window_bits, offer.server_bits.value_or(15));
  agreement.client_window_bits =
      offer.client_bits ? std::min(options.client_window_bits, *offer.client_bits) : std::uint8_t{15};
  agreed.answer = "permessage-deflate";
  if (agreement.server_takeover == ContextTakeover::No) {
    agreed.answer += "; server_no_context_takeover";
  }
  if (agreement.client_takeover == ContextTakeover::No) {
    agreed.answer += "; client_no_context_takeover";
  }
  if (offer.server_bits || agreement.server_window_bits < 15) {
    agreed.answer += fmt::format("; server_max_window_bits={}", agreement.server_window_bits);
  }
  if (agreement.client_window_bits < 15) {
    agreed.answer += fmt::format("; client_max_window_bits={}", agreement.client_window_bits);
  }
  return agreed;
}

}  // namespace

Result<std::optional<AgreedDeflate>> negotiate_deflate(std::string_view offers, const DeflateOptions& options) {
  JAM_CHECK(options.server_window_bits >= 9 && options.server_window_bits <= 15);
  JAM_CHECK(options.client_window_bits >= 8 && options.client_window_bits <= 15);
  std::vector<Extension> extensions;
  if (!OffersReader(offers).read(extensions)) {
    return fail(ErrorCode::Malformed, "Sec-WebSocket-Extensions is not a list of extensions and their parameters.");
  }
  if (!options.enabled) {
    return std::nullopt;
  }
  for (const Extension& extension : extensions) {
    if (auto agreed = accept(extension, options)) {
      return agreed;
    }
  }
  return std::nullopt;
}

}  // namespace jamsocket::ws

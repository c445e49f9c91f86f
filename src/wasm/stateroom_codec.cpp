#include "wasm/stateroom_codec.hpp"

namespace jamsocket::wasm::stateroom {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }

  std::uint64_t integer(std::size_t width) {
    if (bytes_.size() < width) {
      ok_ = false;
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) {
      value |= std::uint64_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
    }
    bytes_.remove_prefix(width);
    return value;
  }
  std::uint32_t u32() { return static_cast<std::uint32_t>(integer(4)); }

  std::string_view list() {
    const std::uint64_t length = integer(8);
    if (!ok_ || length > bytes_.size()) {
      ok_ = false;
      return {};
    }
    return bytes_.substr(0, length);
  }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

constexpr std::uint32_t kClientMax = 0x7fffffffU;

}  // namespace

std::optional<Recipient> Command::resolved() const {
  const bool can_be = client >= 1 && client <= kClientMax;
  switch (recipient) {
    case RecipientKind::Everyone:
      return Recipient(broadcast);
    case RecipientKind::Client:
      return can_be ? std::optional(Recipient(ClientId{client})) : std::nullopt;
    case RecipientKind::EveryoneExcept:
      return can_be ? Recipient(everyone_except(ClientId{client})) : Recipient(broadcast);
  }
  return std::nullopt;
}

std::optional<Command> decode_command(std::string_view bytes) {
  Reader in(bytes);
  Command command;
  switch (in.u32()) {
    case 0: {
      const std::uint32_t recipient = in.u32();
      if (recipient > 2) {
        return std::nullopt;
      }
      command.recipient = static_cast<RecipientKind>(recipient);
      if (command.recipient != RecipientKind::Everyone) {
        command.client = in.u32();
      }
      const std::uint32_t payload_kind = in.u32();
      if (payload_kind > 1) {
        return std::nullopt;
      }
      command.is_text = payload_kind == 1;
      command.payload = in.list();
      break;
    }
    case 1:
      command.kind = Command::Kind::SetTimer;
      command.delay_ms = in.u32();
      break;
    default:
      return std::nullopt;
  }
  return in.ok() ? std::optional(command) : std::nullopt;
}

}  // namespace jamsocket::wasm::stateroom

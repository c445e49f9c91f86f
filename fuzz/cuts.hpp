// fuzz/cuts.hpp
//
// Cuts bytes into reads, in a way that a fuzzer's input decides.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace jamsocket::fuzz {

/// The pieces of `bytes`, in order: short ones mostly, chosen by `seed`.
inline std::vector<std::string_view> cut(std::string_view bytes, std::uint32_t seed) {
  std::vector<std::string_view> pieces;
  std::uint32_t state = seed | 1U;
  while (!bytes.empty()) {
    state = state * 1664525U + 1013904223U;
    const std::uint32_t choice = state >> 24U;
    const std::size_t length = choice < 192 ? 1 + choice % 8 : 1 + std::size_t{choice} * 5;
    pieces.push_back(bytes.substr(0, length));
    bytes.remove_prefix(std::min(length, bytes.size()));
  }
  return pieces;
}

}  // namespace jamsocket::fuzz

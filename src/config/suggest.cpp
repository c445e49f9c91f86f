#include "config/suggest.hpp"

#include <algorithm>
#include <vector>

namespace jamsocket::config {
namespace {

constexpr std::size_t kWordBytesMax = 64;  // Longer words were not mistyped; bounds the table below.
constexpr std::size_t kUnfinishedBytesMin = 4;

// Optimal string alignment: Levenshtein's distance, and a swap of neighbours counts once.
std::size_t distance(std::string_view a, std::string_view b) {
  const std::size_t columns = b.size() + 1;
  std::vector<std::size_t> table((a.size() + 1) * columns);
  const auto at = [&table, columns](std::size_t i, std::size_t j) -> std::size_t& { return table[i * columns + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        at(i, j) = i + j;
        continue;
      }
      const std::size_t replaced = at(i - 1, j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
      }
    }
  }
  return table.back();
}

}  // namespace

std::string nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.empty() || word.size() > kWordBytesMax) {
    return {};
  }
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    // A word left unfinished (its unit forgotten, for example) is as near as one slip.
    const bool unfinished = word.size() >= kUnfinishedBytesMin && candidate.starts_with(word);
    const std::size_t candidate_distance = unfinished ? 1 : distance(word, candidate.substr(0, kWordBytesMax));
    if (candidate_distance < best_distance) {
      best = candidate;
      best_distance = candidate_distance;
    }
  }
  return best;
}

}  // namespace jamsocket::config

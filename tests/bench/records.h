#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/entry.h"

namespace lefting::bench {

inline constexpr std::size_t kPathBytes = 60;

inline void need(bool good) {
  if (!good) throw std::runtime_error("the dictionary does not have what was put into it");
}

inline std::string path_of(std::uint64_t number) {
  std::string path = fmt::format("folder-{:03}/file-{:07}-", number % 1000, number);
  path.resize(kPathBytes, 'x');
  return path;
}

inline Record make_record(std::uint64_t number) {
  Record record;
  record.entry.path = path_of(number);
  record.entry.size = number;
  record.entry.hash = ContentHash{};
  record.entry.version = {{*parse_short_id("LEFTINGA"), number + 1}};
  record.sequence = number + 1;
  return record;
}

/// All paths in a random order, one after the other, so that making them is not measured.
class Paths {
 public:
  explicit Paths(std::uint64_t entries) : entries_{entries} {
    std::vector<std::uint64_t> order(entries);
    std::iota(order.begin(), order.end(), std::uint64_t{0});
    std::shuffle(order.begin(), order.end(), std::mt19937_64{1});
    text_.reserve(entries * kPathBytes);
    for (const std::uint64_t number : order) text_ += path_of(number);
  }
  /// Any number: after the last comes the first.
  std::string_view at(std::uint64_t i) const {
    return std::string_view{text_}.substr(i % entries_ * kPathBytes, kPathBytes);
  }
  std::uint64_t size() const { return entries_; }

 private:
  std::uint64_t entries_;
  std::string text_;
};

}  // namespace lefting::bench

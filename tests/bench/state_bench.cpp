// state_bench: what the file dictionary costs. Usage: state_bench [ENTRIES]
//
// Puts ENTRIES records (1,000,000 if not said) with paths of 60 bytes and one version counter
// into a new segment, looks each up in another order, and prints one line.
#include <fmt/core.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/state/dictionary.h"
#include "common/state/segment.h"

namespace {

using namespace lefting;

constexpr std::size_t kPathBytes = 60;

Record make_record(std::uint64_t number) {
  Record record;
  record.entry.path = fmt::format("folder-{:03}/file-{:07}-", number % 1000, number);
  record.entry.path.resize(kPathBytes, 'x');
  record.entry.size = number;
  record.entry.hash = Sha256{};
  record.entry.version = {{ShortId{1}, number + 1}};
  record.sequence = number + 1;
  return record;
}

/// Thousands of calls of `step(number)` a second, over all numbers below `entries`.
template <class Step>
double rate(std::uint64_t entries, Step&& step) {
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t number = 0; number < entries; ++number) step(number);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(entries) / took.count();
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t entries = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  if (entries == 0) {
    fmt::print(stderr, "usage: state_bench [ENTRIES]\n");
    return 2;
  }
  state::Segment segment = state::Segment::create(std::size_t{4} << 30);
  state::Dictionary dictionary{segment, [](std::size_t, const state::Dictionary::Emit&) {}};
  for (std::size_t shard = 0; shard < kShards; ++shard) dictionary.for_each(shard, {});
  const std::size_t empty = segment.used_bytes();

  const double insert = rate(entries, [&](std::uint64_t number) {
    if (!dictionary.apply(make_record(number)).ok()) std::abort();
  });
  const double lookup = rate(entries, [&](std::uint64_t number) {
    const std::uint64_t other = number * 7919 % entries;
    if (!dictionary.mark(make_record(other).entry.path, 1)) std::abort();
  });
  fmt::print(
      "{} entries: {:.0f} bytes/entry, insert {:.0f} k/s, lookup {:.0f} k/s ({} of {} MiB)\n",
      entries, static_cast<double>(segment.used_bytes() - empty) / static_cast<double>(entries),
      insert, lookup, segment.used_bytes() >> 20, segment.size_bytes() >> 20);
  return 0;
}

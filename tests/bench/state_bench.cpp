// state_bench: what the file dictionary costs.
//
//   state_bench [ENTRIES] [--json]    default 1,000,000
//
// Puts ENTRIES records with paths of 60 bytes and one version counter into a segment and looks
// them up in a random order: alone, then by two processes while a third replaces records. Loads a
// segment from a store, shard by shard, while another process looks up.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/shard.h"
#include "common/state/dictionary.h"
#include "common/state/layout.h"
#include "common/state/segment.h"
#include "common/store/store.h"
#include "common/sync/loaders.h"
#include "tests/bench/forked.h"
#include "tests/bench/records.h"
#include "tests/bench/report.h"
#include "tests/unit/temp_folder.h"

namespace {

using namespace lefting;
using namespace lefting::bench;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kReaders = 2;
constexpr std::size_t kBatch = 512;  // as the scanner's
constexpr std::size_t kSegmentBytes = std::size_t{4} << 30;
constexpr std::chrono::seconds kTogether{3};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

using Look = bool (*)(state::Dictionary&, std::string_view);
bool look_by_mark(state::Dictionary& dictionary, std::string_view path) {
  return dictionary.mark(path, 1).has_value();
}
bool look_by_find(state::Dictionary& dictionary, std::string_view path) {
  return dictionary.find(path).has_value();
}

/// Calls of `step(i)` a second, over all numbers below `count`.
template <class Step>
double rate(std::uint64_t count, Step&& step) {
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) step(i);
  return static_cast<double>(count) / seconds_since(begin);
}

/// The same, until the deadline.
template <class Step>
double rate_until(Clock::time_point deadline, Step&& step) {
  const auto begin = Clock::now();
  std::uint64_t i = 0;
  for (; i % 64 != 0 || Clock::now() < deadline; ++i) step(i);
  return static_cast<double>(i) / seconds_since(begin);
}

struct Together {
  std::array<double, kReaders> reads{};
  double writes = 0;
};

/// Two processes look up while a third replaces records. `round`: higher at each call, so that the
/// writer's records are newer.
void measure_together(Report& report, const std::string& name, state::Dictionary& dictionary,
                      const Paths& paths, Look look, std::uint64_t round) {
  Shared<Together> rates;
  Team team;
  for (std::size_t reader = 0; reader < kReaders; ++reader) {
    const std::uint64_t first = reader * paths.size() / kReaders;
    team.add([&, reader, first] {
      rates->reads[reader] = rate_until(Clock::now() + kTogether, [&](std::uint64_t i) {
        need(look(dictionary, paths.at(first + i)));
      });
    });
  }
  team.add([&] {
    Record record = make_record(0);
    std::uint64_t sequence = round << 40;
    rates->writes = rate_until(Clock::now() + kTogether, [&](std::uint64_t i) {
      record.entry.path = paths.at(7 * i);
      record.sequence = ++sequence;
      need(dictionary.apply(record).ok());
    });
  });
  team.go();
  team.wait();
  report.put(name + "_beside_writer", {rates->reads.begin(), rates->reads.end()});
  report.put(name + "_writes", rates->writes);
}

void measure_dictionary(Report& report, const Paths& paths) {
  const std::uint64_t entries = paths.size();
  state::Segment segment = state::Segment::create(kSegmentBytes);
  state::Dictionary dictionary{
      segment,
      {.load = [](std::size_t, const state::Dictionary::Emit&) {},
       .find = [](std::string_view) -> std::optional<Record> { return std::nullopt; }}};
  for (std::size_t shard = 0; shard < kShards; ++shard) dictionary.for_each(shard, {});
  const std::size_t empty = segment.used_bytes();
  report.put("insert", rate(entries, [&](std::uint64_t number) {
               need(dictionary.apply(make_record(number)).ok());
             }));
  report.put("bytes_an_entry",
             static_cast<double>(segment.used_bytes() - empty) / static_cast<double>(entries));
  std::uint64_t round = 1;
  for (const auto& [name, look] : {std::pair<std::string, Look>{"mark", look_by_mark},
                                   std::pair<std::string, Look>{"find", look_by_find}}) {
    report.put(name + "_alone",
               rate(entries, [&](std::uint64_t i) { need(look(dictionary, paths.at(i))); }));
    measure_together(report, name, dictionary, paths, look, round++);
  }
}

void fill_store(store::Store& store, std::uint64_t entries) {
  for (std::uint64_t first = 0; first < entries; first += kBatch) {
    store::Transaction transaction{store};
    for (std::uint64_t i = first; i < std::min(entries, first + kBatch); ++i) {
      Record record = make_record(i);
      need(transaction.put_record(record, 0));
    }
    transaction.commit();
  }
}

/// The dictionary of a segment that is loaded from a store, as a program of its own has it.
class Program {
 public:
  Program(state::Segment& segment, const std::string& store)
      : store_{store}, dictionary_{segment, sync::backing_of(store_)} {}
  state::Dictionary& dictionary() { return dictionary_; }

 private:
  store::Store store_;
  state::Dictionary dictionary_;
};

using Samples = std::array<std::string, kShards>;
/// A path of each shard: looking it up loads the shard.
Samples sample_paths(std::uint64_t entries) {
  Samples out;
  for (std::uint64_t i = 0; i < entries; ++i) out[shard_of(path_of(i))] = path_of(i);
  return out;
}

void spoil(state::Segment& segment, std::size_t shard) {
  segment.layout().shards.at(shard).guard.stale.store(1);
}

double reload(state::Segment& segment, state::Dictionary& dictionary, const Samples& samples,
              std::size_t shard) {
  spoil(segment, shard);
  const auto begin = Clock::now();
  need(dictionary.find(samples[shard]).has_value());
  return seconds_since(begin);
}

struct Wait {
  double seconds = 0;
};

/// The longest look-up until the deadline.
double longest_wait(state::Dictionary& dictionary, const Paths& paths, Clock::time_point deadline) {
  double longest = 0;
  for (std::uint64_t i = 0; Clock::now() < deadline; ++i) {
    const auto begin = Clock::now();
    need(dictionary.mark(paths.at(i), 1).has_value());
    longest = std::max(longest, seconds_since(begin));
  }
  return longest;
}

/// What another process waits at most while this one loads every shard, `turns` times; 0: none.
double wait_beside_reloads(state::Segment& segment, const std::string& store, const Paths& paths,
                           const Samples& samples, std::chrono::duration<double> time, int turns) {
  Shared<Wait> longest;
  Team team;
  team.add([&] {
    Program reader{segment, store};
    const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(time);
    longest->seconds = longest_wait(reader.dictionary(), paths, end);
  });
  team.go();
  if (turns > 0) {
    Program loader{segment, store};
    for (int turn = 0; turn < turns; ++turn) {
      for (std::size_t shard = 0; shard < kShards; ++shard) {
        reload(segment, loader.dictionary(), samples, shard);
      }
    }
  }
  team.wait();
  return longest->seconds;
}

void measure_reloads(Report& report, const Paths& paths) {
  const test::TempFolder folder;
  const std::string file = folder / "store.db";
  const Samples samples = sample_paths(paths.size());
  state::Segment segment = state::Segment::create(kSegmentBytes);
  double all = 0;
  {
    Program program{segment, file};
    store::Store store{file};
    const auto begin = Clock::now();
    fill_store(store, paths.size());
    report.put("store_rows", static_cast<double>(paths.size()) / seconds_since(begin));
    const auto loading = Clock::now();
    for (const std::string& path : samples) need(program.dictionary().find(path).has_value());
    all = seconds_since(loading);
    report.put("all_reload_s", all);
    std::vector<double> seconds;
    for (std::size_t shard = 0; shard < kShards; ++shard) {
      seconds.push_back(reload(segment, program.dictionary(), samples, shard));
    }
    std::sort(seconds.begin(), seconds.end());
    report.put("shard_reload_s", seconds[kShards / 2]);
    report.put("shard_reload_most_s", seconds.back());
  }  // no connection to the store is taken into a forked process
  const std::chrono::duration<double> time{2 * all};
  report.put("longest_wait_s", wait_beside_reloads(segment, file, paths, samples, time, 2));
  report.put("longest_calm_wait_s", wait_beside_reloads(segment, file, paths, samples, time, 0));
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  std::uint64_t entries = 1'000'000;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view{argv[i]} == "--json") {
      json = true;
    } else {
      entries = std::strtoull(argv[i], nullptr, 10);
    }
  }
  if (entries < 100 * kShards) {  // fewer, and a shard might have none
    fmt::print(stderr, "usage: state_bench [ENTRIES] [--json]; at least {}\n", 100 * kShards);
    return 2;
  }
  try {
    Report report;
    const Paths paths{entries};
    report.put("entries", static_cast<double>(entries));
    measure_dictionary(report, paths);
    measure_reloads(report, paths);
    report.print(json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "state_bench: {}\n", error.what());
    return 1;
  }
}

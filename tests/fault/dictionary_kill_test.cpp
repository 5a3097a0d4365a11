// A program dies in the middle of what it does in the dictionary, and the others see it whole
// again: a traced child is killed after an exact number of its instructions, so that nothing in the
// code needs to know of it.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "tests/fault/dying_child.h"
#include "tests/fault/shelf.h"

using namespace lefting;
using namespace lefting::state;
using namespace lefting::test;

#ifndef __SANITIZE_THREAD__  // which sees one process only

namespace {

/// `record`, where the store has `before`.
void die_applying(const std::function<void(Shelf&)>& before, const Record& record) {
  Shelf shelf;
  die_everywhere(
      [&] {
        before(shelf);
        shelf.store[record.entry.path] = record;  // store first
      },
      [&] { static_cast<void>(shelf.dictionary.apply(record)); },
      [&] { shelf.check_after(record); });
}

/// A new record, or a newer one, for one of `paths`; the others are there.
void die_applying(const std::vector<std::string>& paths, bool known_path, std::size_t counters) {
  const std::string& path = known_path ? paths.front() : paths.back();
  die_applying(
      [&](Shelf& shelf) {
        shelf.begin({paths.begin(), paths.end() - 1});
      },
      make_record(path, 1000, counters));
}

/// Loads a shard of `paths` into an arena that has grown, or not.
void die_loading(const std::vector<std::string>& paths, const std::vector<std::string>& before,
                 bool is_stale) {
  Shelf shelf;
  die_everywhere(
      [&] {
        shelf.begin(before);
        shelf.store.clear();
        for (const std::string& path : paths) shelf.store[path] = make_record(path, 2);
        shelf.store[before.back()] = make_tombstone(before.back(), 3);
        (is_stale ? shelf.guard().stale : shelf.guard().dirty).store(1);
      },
      [&] { static_cast<void>(shelf.dictionary.find(paths.front())); },
      [&] {
        shelf.check();
        REQUIRE(shelf.dictionary.complete(kShard));
      });
}

}  // namespace

TEST_CASE("Dictionary: a death while a record is added leaves the shard whole") {
  die_applying(paths_in(kShard, 11), false, 1);
}

TEST_CASE("Dictionary: a death while a record is overwritten in its place leaves the shard whole") {
  die_applying(paths_in(kShard, 11), true, 1);
}

TEST_CASE("Dictionary: a death while a record moves to a wider place leaves the shard whole") {
  die_applying(paths_in(kShard, 11), true, 5);
}

TEST_CASE("Dictionary: a death while the buckets double leaves the shard whole") {
  die_applying(paths_in(kShard, 65), false, 1);
}

TEST_CASE("Dictionary: a death while the arena grows leaves the shard whole") {
  Shelf shelf;
  shelf.begin({});
  const std::size_t begin = shelf.segment.used_bytes();
  // Long paths, so that this isn't where the buckets double as well.
  std::vector<std::string> fit;
  for (const std::string& path : paths_in(kShard, 1000, std::string(60, 'x'))) {
    fit.push_back(path);
    REQUIRE(shelf.dictionary.apply(make_record(path, 1)).ok());
    if (shelf.segment.used_bytes() != begin) break;
  }
  die_applying(fit, false, 1);
}

TEST_CASE("Dictionary: a death while a record makes way for a tombstone leaves the shard whole") {
  const std::vector<std::string> paths = paths_in(kShard, 11);
  die_applying([&](Shelf& shelf) { shelf.begin(paths); }, make_tombstone(paths[4], 1000));
}

TEST_CASE("Dictionary: a death while a path comes back after a tombstone leaves the shard whole") {
  const std::vector<std::string> paths = paths_in(kShard, 11);
  die_applying(
      [&](Shelf& shelf) {
        shelf.begin(paths);
        shelf.store[paths[4]] = make_tombstone(paths[4], 2);
        REQUIRE(shelf.dictionary.apply(shelf.store[paths[4]]).ok());
      },
      make_record(paths[4], 1000));
}

TEST_CASE("Dictionary: a death while the fingerprints grow leaves the shard whole") {
  // The first ones come with the first tombstone, more room with the 49th.
  const std::vector<std::string> paths = paths_in(kShard, 60);
  for (const std::size_t tombstones : {0u, 48u}) {
    CAPTURE(tombstones);
    die_applying(
        [&](Shelf& shelf) {
          shelf.begin(paths);
          for (std::size_t i = 0; i < tombstones; ++i) {
            shelf.store[paths[i]] = make_tombstone(paths[i], 2);
            REQUIRE(shelf.dictionary.apply(shelf.store[paths[i]]).ok());
          }
        },
        make_tombstone(paths[tombstones], 1000));
  }
}

TEST_CASE("Dictionary: a death where a record finds no room leaves the store to be asked") {
  Shelf shelf{2 << 20};  // no shard gets more than its first memory
  const std::vector<std::string> paths = paths_in(kShard, 200, std::string(200, 'x'));
  const Record record = make_record(paths.front(), 1000, 500);  // in no place of a shard so full
  die_everywhere(
      [&] {
        shelf.begin(paths);
        REQUIRE_FALSE(shelf.dictionary.complete(kShard));
        shelf.store[paths.front()] = record;
      },
      [&] { static_cast<void>(shelf.dictionary.apply(record)); },
      [&] {
        static_cast<void>(shelf.dictionary.apply(record));
        for (const std::string& path : paths) {
          REQUIRE(shelf.dictionary.find(path) == shelf.store.at(path));
        }
        const Records here = shelf.all();
        REQUIRE(here.size() < paths.size());
        REQUIRE(shelf.dictionary.totals().files == here.size());
        REQUIRE_FALSE(shelf.dictionary.complete(kShard));
      });
}

TEST_CASE("Dictionary: a death while a shard is loaded again leaves the loading to the next") {
  const std::vector<std::string> few = paths_in(kShard, 4);
  // Of moderate length: a copy of more than 2 KiB is stepped through byte by byte.
  const std::vector<std::string> many = paths_in(kShard, 9, std::string(1900, 'x'));
  SUBCASE("dirty, and memory is needed") { die_loading(many, few, false); }
  SUBCASE("stale, and memory is given back") { die_loading(few, many, true); }
}

TEST_CASE("Dictionary: a reader's death costs nothing, not even a reload") {
  Shelf shelf;
  const std::vector<std::string> paths = paths_in(kShard, 8);
  shelf.begin(paths);
  const std::uint64_t reloads = shelf.dictionary.reloads();
  const auto read = [&] {
    static_cast<void>(shelf.dictionary.find(paths[3]));
    shelf.dictionary.mark(paths[2], 9);
    static_cast<void>(shelf.dictionary.unmarked(kShard, 9));
    shelf.dictionary.for_each(kShard, [](const Record&) {});
  };
  die_everywhere([] {}, read,
                 [&] {
                   REQUIRE(shelf.all() == shelf.store);
                   REQUIRE(shelf.dictionary.reloads() == reloads);
                 });
}

TEST_CASE("Dictionary: a death between two records of a load leaves the loading to the next") {
  Shelf shelf;
  const std::vector<std::string> paths = paths_in(kShard, 40);
  for (std::size_t last = 0; last < paths.size(); last += 3) {
    CAPTURE(last);
    shelf.begin(paths);
    shelf.segment.layout().shards[kShard].guard.dirty.store(1);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      Dictionary::Backing backing = shelf.backing;
      backing.load = [&](std::size_t, const Dictionary::Emit& emit) {
        for (std::size_t i = 0; i < last; ++i) emit(make_record(paths[i], 77));
        ::kill(::getpid(), SIGKILL);
      };
      const Dictionary dying{shelf.segment, backing};
      static_cast<void>(dying.find(paths[0]));
      ::_exit(1);
    }
    REQUIRE(WIFSIGNALED(wait_for(child)));
    REQUIRE(shelf.segment.layout().shards[kShard].guard.dirty.load() == 1);
    REQUIRE(shelf.all() == shelf.store);
  }
}

#endif  // __SANITIZE_THREAD__

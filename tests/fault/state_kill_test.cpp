// A program dies in the middle of what it does in the segment, and the others see it whole again.
//
// Two ways to die: a traced child is killed after an exact number of its instructions, so that
// nothing in the code needs to know of it; and a busy child is killed at any instant, often.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "common/base/shard.h"
#include "common/state/dictionary.h"
#include "common/state/layout.h"
#include "common/state/peers.h"
#include "common/state/segment.h"
#include "common/state/tickets.h"
#include "tests/fault/dying_child.h"

using namespace lefting;
using namespace lefting::state;
using namespace lefting::test;

#ifndef __SANITIZE_THREAD__  // which sees one process only

namespace {

Record make_record(std::string path, std::uint64_t sequence, std::size_t counters = 1) {
  Record record;
  record.entry.path = std::move(path);
  record.entry.size = sequence;
  record.entry.version.assign(counters, {ShortId{7}, sequence});
  record.sequence = sequence;
  return record;
}

/// Paths of one shard.
std::vector<std::string> paths_in(std::size_t shard, std::size_t count,
                                  const std::string& tail = {}) {
  std::vector<std::string> paths;
  for (std::uint64_t i = 0; paths.size() < count; ++i) {
    std::string path = "file-" + std::to_string(i) + tail;
    if (shard_of(path) == shard) paths.push_back(std::move(path));
  }
  return paths;
}

constexpr std::size_t kShard = 5;

/// A dictionary of one shard over a store.
struct Shelf {
  std::map<std::string, Record> store;
  Segment segment = Segment::create(64 << 20);
  Dictionary dictionary{segment, [this](std::size_t, const Dictionary::Emit& emit) {
                          for (const auto& [path, record] : store) emit(record);
                        }};

  /// Makes the shard again from a store of `paths`.
  void begin(const std::vector<std::string>& paths) {
    store.clear();
    for (const std::string& path : paths) store[path] = make_record(path, 1);
    segment.layout().shards[kShard].guard.dirty.store(1);
    static_cast<void>(all());
  }
  bool is_dirty() { return segment.layout().shards[kShard].guard.dirty.load() != 0; }
  std::map<std::string, Record> all() const {
    std::map<std::string, Record> found;
    dictionary.for_each(kShard, [&](const Record& record) { found[record.entry.path] = record; });
    return found;
  }
  /// The dead may have committed `record` and not applied it: its successor does, as Inflight says.
  void check_after(const Record& record) {
    REQUIRE(dictionary.apply(record).ok());
    REQUIRE(all() == store);
    REQUIRE(dictionary.totals().files == store.size());
  }
};

/// A new record, or a newer one, for one of `paths`; the others are there.
void die_applying(const std::vector<std::string>& paths, bool known_path, std::size_t counters) {
  Shelf shelf;
  const Record record = make_record(known_path ? paths.front() : paths.back(), 1000, counters);
  die_everywhere(
      [&] {
        shelf.begin({paths.begin(), paths.end() - 1});
        shelf.store[record.entry.path] = record;  // store first
      },
      [&] { static_cast<void>(shelf.dictionary.apply(record)); },
      [&] { shelf.check_after(record); });
}

Ticket make_ticket(std::string path, std::uint64_t id) {
  Ticket ticket;
  ticket.id = id;
  ticket.wanted.path = std::move(path);
  ticket.wanted.size = 3 << 20;
  ticket.sources = 1;
  return ticket;
}

/// A ticket queue over a store.
struct Desk {
  std::map<std::string, Ticket> store;
  Segment segment = Segment::create(64 << 20);
  TicketQueue queue{segment, [this](const TicketQueue::Emit& emit) {
                      for (const auto& [path, ticket] : store) emit(ticket);
                    }};

  void begin() {
    store.clear();
    for (std::uint64_t id = 1; id <= 20; ++id) {
      const std::string path = "p" + std::to_string(id);
      store[path] = make_ticket(path, id);
    }
    segment.layout().tickets.guard.dirty.store(1);
    queue.put_off("p1", 1, 100, "later");
  }

  bool is_dirty() { return segment.layout().tickets.guard.dirty.load() != 0; }

  /// The same tickets as in the store, and totals that fit them.
  void check() {
    const std::vector<TicketView> all = queue.list();
    REQUIRE(all.size() == store.size());
    TicketQueue::Totals sum;
    for (const TicketView& view : all) {
      REQUIRE(view.ticket.wanted == store.at(view.ticket.wanted.path).wanted);
      REQUIRE(view.ticket.id == store.at(view.ticket.wanted.path).id);
      sum.queued += view.state == TicketState::queued;
      sum.active += view.state == TicketState::active;
      sum.waiting += view.state == TicketState::waiting;
      sum.failed += view.state == TicketState::failed;
      sum.bytes += view.ticket.wanted.size;
      sum.done_bytes += view.done_bytes;
    }
    const TicketQueue::Totals totals = queue.totals();
    REQUIRE(totals.queued == sum.queued);
    REQUIRE(totals.active == sum.active);
    REQUIRE(totals.waiting == sum.waiting);
    REQUIRE(totals.failed == sum.failed);
    REQUIRE(totals.bytes == sum.bytes);
    REQUIRE(totals.done_bytes == sum.done_bytes);
    queue.requeue_all();
    queue.requeue_sources(0);
    REQUIRE(queue.checkout(1000, ~std::uint64_t{0}, 0).size() == store.size());
  }
};

void die_at_desk(const std::function<void(Desk&)>& in_store,
                 const std::function<void(TicketQueue&)>& work) {
  Desk desk;
  die_everywhere(
      [&] {
        desk.begin();
        in_store(desk);
      },
      [&] { work(desk.queue); },
      [&] {
        work(desk.queue);  // what the successor does again
        desk.check();
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

TEST_CASE("Dictionary: a death while a shard is loaded leaves the loading to the next") {
  Shelf shelf;
  const std::vector<std::string> paths = paths_in(kShard, 40);
  for (std::size_t last = 0; last < paths.size(); last += 3) {
    CAPTURE(last);
    shelf.begin(paths);
    shelf.segment.layout().shards[kShard].guard.dirty.store(1);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const Dictionary dying{shelf.segment, [&](std::size_t, const Dictionary::Emit& emit) {
                               for (std::size_t i = 0; i < last; ++i) {
                                 emit(make_record(paths[i], 77));
                               }
                               ::kill(::getpid(), SIGKILL);
                             }};
      static_cast<void>(dying.find(paths[0]));
      ::_exit(1);
    }
    REQUIRE(WIFSIGNALED(wait_for(child)));
    REQUIRE(shelf.segment.layout().shards[kShard].guard.dirty.load() == 1);
    REQUIRE(shelf.all() == shelf.store);
  }
}

TEST_CASE("TicketQueue: a death while a ticket is put leaves the queue whole") {
  const Ticket fresh = make_ticket("new", 50);
  die_at_desk([&](Desk& desk) { desk.store["new"] = fresh; },
              [&](TicketQueue& queue) { static_cast<void>(queue.put({fresh})); });
}

TEST_CASE("TicketQueue: a death while a newer wish takes a ticket's place leaves the queue whole") {
  Ticket newer = make_ticket("p4", 50);
  newer.done = {3};
  die_at_desk([&](Desk& desk) { desk.store["p4"] = newer; },
              [&](TicketQueue& queue) { static_cast<void>(queue.put({newer})); });
}

TEST_CASE("TicketQueue: a death while tickets are taken leaves the queue whole") {
  die_at_desk([](Desk&) {}, [](TicketQueue& queue) { queue.checkout(3, ~0ull, 200); });
}

TEST_CASE("TicketQueue: a death while a ticket changes its state leaves the queue whole") {
  die_at_desk([](Desk&) {},
              [](TicketQueue& queue) {
                queue.mark_done("p7", 7, 1, 2);
                queue.put_off("p7", 7, 300, "busy");
                queue.fail("p1", 1, "no");
              });
}

TEST_CASE("TicketQueue: a death while a ticket is taken out leaves the queue whole") {
  die_at_desk([](Desk& desk) { desk.store.erase("p9"); },
              [](TicketQueue& queue) { queue.remove("p9", 9); });
}

TEST_CASE("PeerList: a death while a peer changes leaves the list whole") {
  Segment segment = Segment::create(16 << 20);
  std::map<int, Peer> store;
  PeerList list{segment, [&](const PeerList::Emit& emit) {
                  for (const auto& [slot, peer] : store) emit(peer);
                }};
  const Peer stays{.slot = 1, .device = DeviceId{}, .name = "stays", .address = "a:1"};
  const Peer comes{.slot = 2, .device = DeviceId{{9}}, .name = "comes", .address = "b:2"};
  const Peer goes{.slot = 3, .device = DeviceId{{8}}, .name = "goes", .address = "c:3"};
  const auto work = [&] {
    list.put(comes);
    list.set_state(2, PeerState::online, "up");
    list.remove(3);
  };
  die_everywhere(
      [&] {
        store = {{1, stays}, {3, goes}};
        list.spoil();
        REQUIRE(list.list().size() == 2);
        list.set_state(1, PeerState::refused, "no");
        store = {{1, stays}, {2, comes}};
      },
      work,
      [&] {
        work();
        REQUIRE(list.list().size() == 2);
        REQUIRE(list.get(1)->peer == stays);
        REQUIRE(list.get(1)->state == PeerState::refused);
        REQUIRE(list.get(2)->peer == comes);
        REQUIRE(list.used_mask() == 0b110);
        REQUIRE(list.online_mask() == 0b100);
        REQUIRE(list.refused_mask() == 0b010);
      });
}

TEST_CASE("Segment: of a writer killed at any instant, again and again, nothing is seen") {
  constexpr unsigned kSeed = 1234;
  CAPTURE(kSeed);
  std::mt19937 random{kSeed};
  Shelf shelf;
  Desk desk;
  const std::vector<std::string> paths = paths_in(kShard, 200);
  shelf.begin(paths);
  desk.begin();
  std::uint64_t sequence = 1;
  int torn = 0;
  for (int round = 0; round < 150; ++round) {
    CAPTURE(round);
    sequence += 1'000'000;  // the child counts on in its own copy
    const auto write = [&] {
      const std::string& path = paths[random() % paths.size()];
      static_cast<void>(shelf.dictionary.apply(make_record(path, ++sequence, random() % 9)));
      desk.queue.checkout(2, ~std::uint64_t{0}, 1000);
      desk.queue.mark_done("p5", 5, random() % 3, 1);
      desk.queue.put_off("p5", 5, 500, "busy");
      desk.queue.requeue_all();
    };
    kill_after(std::chrono::microseconds{random() % 1000}, write);
    torn += shelf.is_dirty() || desk.is_dirty();
    for (const auto& [path, record] : shelf.all()) {
      REQUIRE(shelf.store.contains(path));
      const std::uint64_t counter = record.sequence;
      REQUIRE(record.entry.size == counter);
      REQUIRE(std::all_of(record.entry.version.begin(), record.entry.version.end(),
                          [&](const VersionCounter& one) { return one.counter == counter; }));
    }
    REQUIRE(shelf.dictionary.totals().files == paths.size());
    desk.check();
  }
  CHECK(torn > 0);
}

#endif  // __SANITIZE_THREAD__

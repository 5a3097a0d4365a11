// A program dies in the middle of what it does in the segment, and the others see it whole again;
// or while it brings an old store up to date, and the store is the old one.
//
// Two ways to die: a traced child is killed after an exact number of its instructions, so that
// nothing in the code needs to know of it; and a busy child is killed at any instant, often.
#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/shard.h"
#include "common/state/dictionary.h"
#include "common/state/layout.h"
#include "common/state/peers.h"
#include "common/state/segment.h"
#include "common/state/tickets.h"
#include "common/store/store.h"
#include "tests/fault/dying_child.h"
#include "tests/unit/temp_folder.h"

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

Record make_tombstone(std::string path, std::uint64_t sequence) {
  Record record = make_record(std::move(path), sequence);
  record.entry.size = 0;
  record.entry.deleted = true;
  return record;
}

using Records = std::map<std::string, Record, std::less<>>;

/// A dictionary of one shard over a store.
struct Shelf {
  explicit Shelf(std::size_t limit_bytes = 64 << 20) : segment{Segment::create(limit_bytes)} {}

  Records store;
  Segment segment;
  Dictionary::Backing backing{.load =
                                  [this](std::size_t, const Dictionary::Emit& emit) {
                                    for (const auto& [path, record] : store) emit(record);
                                  },
                              .find = [this](std::string_view path) -> std::optional<Record> {
                                const auto at = store.find(path);
                                if (at == store.end()) return std::nullopt;
                                return at->second;
                              }};
  Dictionary dictionary{segment, backing};

  /// Makes the shard again from a store of `paths`.
  void begin(const std::vector<std::string>& paths) {
    store.clear();
    for (const std::string& path : paths) store[path] = make_record(path, 1);
    guard().dirty.store(1);
    static_cast<void>(all());
  }
  Guard& guard() { return segment.layout().shards[kShard].guard; }
  bool is_dirty() { return guard().dirty.load() != 0; }
  Records all() const {
    Records found;
    dictionary.for_each(kShard, [&](const Record& record) { found[record.entry.path] = record; });
    return found;
  }
  /// The live records of the store, all of its records found, and totals that fit them.
  void check() const {
    Records live = store;
    std::erase_if(live, [](const auto& one) { return one.second.entry.deleted; });
    REQUIRE(all() == live);
    REQUIRE(dictionary.totals().files == live.size());
    for (const auto& [path, record] : store) REQUIRE(dictionary.find(path) == record);
  }
  /// The dead may have committed `record` and not applied it: its successor does, as Inflight says.
  void check_after(const Record& record) {
    REQUIRE(dictionary.apply(record).ok());
    check();
  }
};

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

Ticket make_ticket(std::string path, std::uint64_t id) {
  Ticket ticket;
  ticket.id = id;
  ticket.wanted.path = std::move(path);
  ticket.wanted.size = 3 << 20;
  ticket.sources = 1;
  return ticket;
}

/// A ticket queue over a store: 20 tickets, in some 17 shards.
struct Desk {
  explicit Desk(std::size_t limit_bytes = 64 << 20) : segment{Segment::create(limit_bytes)} {}

  std::map<std::string, Ticket> store;
  Segment segment;
  TicketQueue queue{segment, [this](std::size_t, const TicketQueue::Emit& emit) {
                      for (const auto& [path, ticket] : store) emit(ticket);
                    }};

  void begin() {
    store.clear();
    for (std::uint64_t id = 1; id <= 20; ++id) {
      const std::string path = "p" + std::to_string(id);
      store[path] = make_ticket(path, id);
    }
    load();
    queue.put_off("p1", 1, 100, {Cause::source_busy, "later"});
  }
  /// All shards, from the store.
  void load() {
    for (TicketControl& shard : segment.layout().tickets) shard.guard.dirty.store(1);
    queue.list();
  }

  Guard& guard(const std::string& path) { return segment.layout().tickets[shard_of(path)].guard; }
  bool is_dirty() {
    return std::ranges::any_of(segment.layout().tickets, [](const TicketControl& shard) {
      return shard.guard.dirty.load() != 0;
    });
  }

  /// The same tickets as in the store, and totals that fit them. Nothing was looked at before, as
  /// by a downloader that sees the words only.
  void check() {
    // What was at work with the dead comes back first, as a new downloader does it.
    queue.requeue_all();
    queue.requeue_sources(0);
    std::vector<std::uint64_t> taken;
    for (const TicketView& view : queue.checkout(1000, ~std::uint64_t{0}, 0)) {
      taken.push_back(view.ticket.id);
    }
    REQUIRE(std::ranges::is_sorted(taken));
    REQUIRE(taken.size() == store.size());
    check_list();
  }
  void check_list() {
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

// The tickets of a store of version 1, and what the program asks for before it looks at them.
constexpr const char* kOldStore = R"(
PRAGMA journal_mode=WAL;
BEGIN IMMEDIATE;
CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE fact(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE file(
  shard INTEGER NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
  mode INTEGER NOT NULL, deleted INTEGER NOT NULL, hash BLOB, version BLOB NOT NULL,
  sequence INTEGER NOT NULL, ctime INTEGER NOT NULL, inode INTEGER NOT NULL,
  PRIMARY KEY(shard, path)) WITHOUT ROWID;
CREATE UNIQUE INDEX file_sequence ON file(sequence);
CREATE TABLE ticket(
  id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
  mtime INTEGER NOT NULL, mode INTEGER NOT NULL, deleted INTEGER NOT NULL, hash BLOB,
  version BLOB NOT NULL, sources INTEGER NOT NULL, done BLOB NOT NULL);
CREATE TABLE peer(
  slot INTEGER PRIMARY KEY, device BLOB UNIQUE, name TEXT NOT NULL, address TEXT NOT NULL,
  learned INTEGER NOT NULL, zstd INTEGER NOT NULL, their_index INTEGER NOT NULL, seen INTEGER NOT NULL, told INTEGER NOT NULL);
INSERT INTO counter VALUES('sequence', 0), ('ticket', 0);
PRAGMA application_id=1279608404;
PRAGMA user_version=1;
)";

void make_old_store(const std::string& path, std::uint64_t tickets) {
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
  std::string sql = kOldStore;
  for (std::uint64_t id = 1; id <= tickets; ++id) {
    const std::string number = std::to_string(id);
    sql += "INSERT INTO ticket VALUES(" + number + ", CAST('t" + number +
           "' AS BLOB), 1, 2, 420, 0, NULL, x'', 1, x'');\n";
  }
  sql += "UPDATE counter SET value=" + std::to_string(tickets) + " WHERE name='ticket'; COMMIT;";
  REQUIRE(sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_close(raw) == SQLITE_OK);
}

int steps_left = 0;

/// Lets this program die after so many steps of SQLite's machine.
int die_when_out_of_steps(sqlite3* raw, const char**, const sqlite3_api_routines*) {
  const auto count = [](void*) {
    if (--steps_left <= 0) ::kill(::getpid(), SIGKILL);
    return 0;
  };
  sqlite3_progress_handler(raw, 1, count, nullptr);
  return SQLITE_OK;
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
                queue.put_off("p7", 7, 300, {Cause::source_busy, "busy"});
                queue.fail("p1", 1, {Cause::failed, "no"});
              });
}

TEST_CASE("TicketQueue: a death while a ticket is taken out leaves the queue whole") {
  die_at_desk([](Desk& desk) { desk.store.erase("p9"); },
              [](TicketQueue& queue) { queue.remove("p9", 9); });
}

TEST_CASE("TicketQueue: a death while the last ticket of a shard goes leaves the queue whole") {
  Desk desk;
  die_everywhere(
      [&] {
        desk.begin();
        desk.store.clear();
      },
      [&] { desk.queue.remove("p9", 9); },
      [&] {
        for (std::uint64_t id = 1; id <= 20; ++id) {
          desk.queue.remove("p" + std::to_string(id), id);
        }
        desk.check();
      });
}

TEST_CASE("TicketQueue: a death while a large shard becomes empty and small leaves it whole") {
  Desk desk;
  const std::vector<std::string> paths = paths_in(kShard, 20, std::string(4000, 'x'));
  const std::string& last = paths.back();
  const std::size_t empty = desk.segment.used_bytes();
  die_everywhere(
      [&] {
        desk.store.clear();
        for (std::uint64_t id = 0; id < paths.size(); ++id) {
          desk.store[paths[id]] = make_ticket(paths[id], id + 1);
        }
        desk.load();
        REQUIRE(desk.segment.used_bytes() > empty + (64 << 10));
        for (std::uint64_t id = 1; id < paths.size(); ++id) desk.queue.remove(paths[id - 1], id);
        desk.store.clear();
      },
      [&] {
        desk.queue.remove(last, paths.size());
        static_cast<void>(desk.queue.has_queued());  // gives the memory back
      },
      [&] {
        desk.queue.remove(last, paths.size());
        desk.check();
        // Who died between the change and its end may have left the memory to the next reload.
        desk.load();
        REQUIRE(desk.segment.used_bytes() == empty);
      });
}

TEST_CASE(
    "TicketQueue: a death where tickets find no room leaves them to the store, to come later") {
  Desk desk{2 << 20};  // no shard gets more than its first memory
  const std::vector<std::string> paths = paths_in(kShard, 80, std::string(300, 'x'));
  const Ticket fresh = make_ticket(paths.back(), 1000);
  const auto begin = [&] {
    desk.store.clear();
    for (std::uint64_t id = 1; id < paths.size(); ++id) {
      desk.store[paths[id - 1]] = make_ticket(paths[id - 1], id);
    }
    desk.load();
    REQUIRE(desk.queue.partial_shards() == 1);
    desk.store[fresh.wanted.path] = fresh;
  };
  const auto end_all = [&] {
    for (int round = 0; round < 100 && !desk.store.empty(); ++round) {
      for (const TicketView& view : desk.queue.checkout(10, ~std::uint64_t{0}, 0)) {
        desk.store.erase(view.ticket.wanted.path);
        desk.queue.remove(view.ticket.wanted.path, view.ticket.id);
      }
    }
    REQUIRE(desk.store.empty());
  };
  const auto put = [&] { static_cast<void>(desk.queue.put({fresh})); };
  die_everywhere(begin, put, [&] {
    put();
    desk.queue.requeue_all();
    end_all();
  });
  // Half of those that found room are done when this one goes.
  std::vector<TicketView> taken;
  const auto remove = [&] {
    desk.queue.remove(taken.back().ticket.wanted.path, taken.back().ticket.id);
  };
  die_everywhere(
      [&] {
        begin();
        taken = desk.queue.checkout(1000, ~std::uint64_t{0}, 0);
        taken.resize((taken.size() + 1) / 2);
        for (const TicketView& view : taken) desk.store.erase(view.ticket.wanted.path);
        for (std::size_t i = 0; i + 1 < taken.size(); ++i) {
          desk.queue.remove(taken[i].ticket.wanted.path, taken[i].ticket.id);
        }
      },
      remove,
      [&] {
        remove();
        desk.queue.requeue_all();
        end_all();
      });
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
        list.ask_anew();
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

TEST_CASE("Store: a death at any step of its upgrade leaves the old version, or the new one") {
  const TempFolder folder;
  const std::string path = folder / "s.db";
  constexpr std::uint64_t kTickets = 300;
  bool upgraded = false;
  int deaths = 0;
  for (int steps = 1; !upgraded; steps += 1 + steps / 4) {
    CAPTURE(steps);
    for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(path + part);
    make_old_store(path, kTickets);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      steps_left = steps;
      sqlite3_auto_extension(reinterpret_cast<void (*)()>(die_when_out_of_steps));
      { store::Store opened{path}; }
      ::_exit(0);
    }
    upgraded = WIFEXITED(wait_for(child));
    deaths += !upgraded;
    store::Store store{path};  // which brings it up to date, if that is still to be done
    REQUIRE(store.tickets_after(0, SIZE_MAX >> 1).size() == kTickets);
    for (std::uint64_t id = 1; id <= kTickets; ++id) {
      REQUIRE(store.find_ticket("t" + std::to_string(id))->id == id);
    }
  }
  CHECK(deaths > 20);
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
      if (random() % 32 == 0) shelf.guard().stale.store(1);
      if (random() % 32 == 0) desk.guard("p5").stale.store(1);
      const std::string& path = paths[random() % paths.size()];
      static_cast<void>(shelf.dictionary.apply(make_record(path, ++sequence, random() % 9)));
      desk.queue.checkout(2, ~std::uint64_t{0}, 1000);
      desk.queue.mark_done("p5", 5, random() % 3, 1);
      desk.queue.put_off("p5", 5, 500, {Cause::source_busy, "busy"});
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

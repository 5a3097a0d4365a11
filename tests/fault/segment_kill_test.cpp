// A program dies in the middle of what it does with the peers in the segment, or at any instant of
// much work: a busy child is killed, again and again.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "common/state/peers.h"
#include "tests/fault/desk.h"
#include "tests/fault/dying_child.h"
#include "tests/fault/shelf.h"

using namespace lefting;
using namespace lefting::state;
using namespace lefting::test;

#ifndef __SANITIZE_THREAD__  // which sees one process only

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

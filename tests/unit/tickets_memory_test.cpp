// What a ticket queue does where there is no more room, and when it has been emptied.
#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/ticket_bench.h"

using namespace lefting;
using namespace lefting::state;

TEST_CASE("TicketQueue: a shard that becomes empty gives its memory back") {
  TicketBench bench;
  constexpr std::size_t kShard = 7;
  CHECK_FALSE(bench.queue.has_queued());
  const std::size_t empty = bench.segment.used_bytes();
  std::vector<Ticket> tickets;
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    tickets.push_back(make_ticket(path_in(kShard, id), id, 4000 * kMiB));
    tickets.back().done = {1};
    REQUIRE(bench.put(tickets.back()).ok());
  }
  CHECK(bench.segment.used_bytes() - empty > 500'000);
  for (int round = 0; round < 2; ++round) {
    CAPTURE(round);
    for (const TicketView& view : bench.queue.checkout(1000, kNoTicket, 0)) {
      REQUIRE(bench.end(view));
    }
    CHECK_FALSE(bench.other.has_queued());
    CHECK(bench.segment.used_bytes() == empty);
    CHECK(bench.queue.totals().bytes == 0);
    for (const Ticket& ticket : tickets) REQUIRE(bench.put(ticket).ok());
  }
}

TEST_CASE("TicketQueue: what finds no room is left to the store, and put() says why") {
  TicketBench bench{4 << 20};
  std::vector<Ticket> tickets;
  for (std::uint64_t id = 1; id <= 3000; ++id) {
    tickets.push_back(make_ticket(std::to_string(id) + std::string(2000, 'x'), id, 1000));
    bench.store[id] = tickets.back();
  }
  const Status done = bench.queue.put(tickets);
  REQUIRE_FALSE(done.ok());
  CHECK(done.error().text().find("segment_limit_mib") != std::string::npos);
  CHECK(bench.other.partial_shards() > 10);
  const TicketQueue::Totals totals = bench.queue.totals();
  CHECK(totals.queued > 500);
  CHECK(totals.queued < 3000);
  CHECK(totals.bytes == totals.queued * 1000);
  CHECK(bench.queue.list().size() == totals.queued);
  CHECK(committed_bytes(bench.segment.layout()) <= 4 << 20);
}

TEST_CASE("TicketQueue: in a full shard a newer wish that finds no room takes the older one away") {
  TicketBench bench{2 << 20};  // no shard gets more than its first memory
  constexpr std::size_t kShard = 5;
  std::uint64_t id = 1;
  while (bench.put(make_ticket(path_in(kShard, id), id)).ok()) ++id;
  REQUIRE(bench.queue.partial_shards() == 1);
  Ticket newer = make_ticket(path_in(kShard, 1), 1000);
  newer.wanted.version.resize(500);
  bench.store.erase(1);
  REQUIRE_FALSE(bench.put(newer).ok());
  CHECK_FALSE(bench.queue.find(newer.wanted.path).has_value());
  CHECK(bench.queue.find(path_in(kShard, 2)).has_value());
}

TEST_CASE("TicketQueue: with room for few every ticket has its turn when others end") {
  // With 2 MiB no shard gets more than its first memory, with 3 MiB some do.
  for (const std::size_t limit_mib : {2u, 3u}) {
    CAPTURE(limit_mib);
    constexpr unsigned kSeed = 2000;
    CAPTURE(kSeed);
    std::mt19937 random{kSeed};
    TicketBench bench{limit_mib << 20};
    constexpr std::uint64_t kTickets = 4000;
    for (std::uint64_t id = 1; id <= kTickets; ++id) {
      const std::string path = std::to_string(id) + std::string(random() % 1500, 'x');
      static_cast<void>(bench.put(make_ticket(path, id, 9 * kMiB)));
    }
    REQUIRE(bench.queue.partial_shards() == kShards);
    std::set<std::uint64_t> ended;
    std::uint64_t now = 0;
    for (std::size_t round = 0; round < 4 * kTickets && !bench.store.empty(); ++round) {
      CAPTURE(round);
      const auto taken = bench.other.checkout(16, kNoTicket, now += 10);
      for (const TicketView& view : taken) {
        const std::string& path = view.ticket.wanted.path;
        const std::uint64_t id = view.ticket.id;
        const std::uint64_t kind = random() % 8;
        // A reload may have come between that had no room for this one: then it is not here.
        if (kind < 5) {
          ended.insert(id);
          bench.end(view);
        }
        if (kind == 5) bench.queue.mark_done(path, id, random() % 9, 1);
        if (kind == 5 || kind == 6)
          bench.queue.put_off(path, id, now + 25, {Cause::source_busy, "busy"});
        if (kind == 7) bench.queue.give_back(path, id);
      }
    }
    CHECK(bench.store.empty());
    CHECK(ended.size() == kTickets);
    CHECK(bench.queue.list().empty());
    CHECK(bench.queue.partial_shards() == 0);
    CHECK(bench.queue.totals().bytes == 0);
  }
}

TEST_CASE("TicketQueue: a bitmap that doesn't fit is not remembered, and nothing breaks") {
  TicketBench bench{3 << 20};
  const std::uint64_t huge = std::uint64_t{1} << 50;  // 8 MiB of bitmap
  REQUIRE(bench.put(make_ticket("a", 1, huge)).ok());
  CHECK(bench.queue.mark_done("a", 1, 0, 5));
  CHECK(bench.queue.find("a")->done_bytes == 0);
  Ticket begun = make_ticket("b", 2, huge);
  begun.done = {1};
  CHECK(bench.put(begun).ok());
  CHECK(bench.queue.find("b")->done_bytes == 0);
  CHECK(ids(bench.queue.checkout(9, kNoTicket, 0)) == Ids{1, 2});
}

TEST_CASE("TicketQueue: a ticket that is begun has its turn, also where its bitmap has no room") {
  TicketBench bench{2 << 20};
  Ticket begun = make_ticket("b", 2, 4096 * 1024 * kMiB);  // 32 KiB of bitmap
  begun.done = {1};
  static_cast<void>(bench.put(begun));
  CHECK(ids(bench.queue.checkout(9, kNoTicket, 0)) == Ids{2});
}

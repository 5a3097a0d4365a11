#include "common/state/tickets.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/base/entry.h"
#include "tests/unit/ticket_bench.h"

using namespace lefting;
using namespace lefting::state;

namespace {

Ids first_ids(std::uint64_t first, std::size_t count) {
  Ids out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = first + i;
  return out;
}

}  // namespace

TEST_CASE("TicketQueue: checkout takes the earliest, whatever order they came in") {
  TicketBench bench;
  REQUIRE(bench.queue
              .put({make_ticket("c", 30), make_ticket("a", 10), make_ticket("d", 40),
                    make_ticket("b", 20)})
              .ok());
  CHECK(ids(bench.other.checkout(0, 1000, 0)) == Ids{});
  CHECK(ids(bench.other.checkout(3, 1000, 0)) == Ids{10, 20, 30});
  CHECK(bench.queue.find("a")->state == TicketState::active);
  CHECK(bench.queue.has_queued());
  CHECK(bench.queue.give_back("b", 20));
  CHECK(ids(bench.other.checkout(9, 1000, 0)) == Ids{20, 40});
  CHECK_FALSE(bench.queue.has_queued());
  CHECK(ids(bench.other.checkout(9, 1000, 0)) == Ids{});
}

TEST_CASE(
    "TicketQueue: checkout ends before most_bytes, but always takes the first and deletions") {
  for (const std::uint64_t most : {0u, 99u, 100u, 101u, 149u, 150u, 151u, 300u}) {
    CAPTURE(most);
    TicketBench bench;
    Ticket deletion = make_ticket("b", 2, 0);
    deletion.wanted.deleted = true;
    REQUIRE(bench.queue.put({make_ticket("a", 1, 100), deletion, make_ticket("c", 3, 50)}).ok());
    Ids expected{1, 2};
    if (most >= 150) expected.push_back(3);
    CHECK(ids(bench.queue.checkout(9, most, 0)) == expected);
  }
}

TEST_CASE("TicketQueue: what waits for a source goes on when it is told of again") {
  TicketBench bench;
  const Ticket ticket = make_ticket("a", 10);
  REQUIRE(bench.queue.put({ticket}).ok());
  REQUIRE(bench.queue.put_off("a", 10, 999'999, {Cause::no_space, "full"}));
  REQUIRE(bench.queue.put({ticket}).ok());
  CHECK(bench.queue.find("a")->state == TicketState::waiting);
  REQUIRE(bench.queue.put_off("a", 10, 999'999, {Cause::source_changed, "another"}));
  REQUIRE(bench.queue.put({ticket}).ok());
  CHECK(bench.queue.find("a")->state == TicketState::queued);
}

/// A ticket that has the peer in slot 1 for a source.
struct OfferedBench : TicketBench {
  Ticket ticket = make_ticket("a", 10);
  OfferedBench() {
    ticket.sources = 0b10;
    REQUIRE(queue.put({ticket}).ok());
  }
};

TEST_CASE_FIXTURE(OfferedBench,
                  "TicketQueue: what waits for a source to be online goes on with another") {
  REQUIRE(queue.put_off("a", 10, lefting::state::kNoRetry, {Cause::no_source, "none"}));
  REQUIRE(queue.put({ticket}).ok());
  CHECK(queue.find("a")->state == TicketState::waiting);
  ticket.sources = 0b11;
  REQUIRE(queue.put({ticket}).ok());
  CHECK(queue.find("a")->state == TicketState::queued);
}

// Nobody would find it again: the peer is online already.

TEST_CASE_FIXTURE(OfferedBench,
                  "TicketQueue: what loses its last source while it is looked at does not wait for "
                  "one") {
  REQUIRE(queue.checkout(1, 1000, 0).size() == 1);
  queue.drop_source(1, Offers::all);
  REQUIRE(queue.put_off("a", 10, lefting::state::kNoRetry, {Cause::no_source, "none"}));
  CHECK(queue.find("a")->state == TicketState::queued);
}

TEST_CASE_FIXTURE(OfferedBench, "TicketQueue: a deletion keeps a source that has lost its files") {
  Ticket deletion = make_ticket("d", 9);
  deletion.wanted.deleted = true;
  deletion.sources = 0b10;
  REQUIRE(queue.put({deletion}).ok());
  queue.drop_source(1, Offers::files);
  CHECK(queue.find("a")->ticket.sources == 0);
  CHECK(queue.find("d")->ticket.sources == 0b10);
  queue.drop_source(1, Offers::all);
  CHECK(queue.find("d")->ticket.sources == 0);
}

TEST_CASE("TicketQueue: a waiting ticket comes back when its time has come, not before") {
  TicketBench bench;
  REQUIRE(bench.queue.put({make_ticket("a", 1), make_ticket("b", 2), make_ticket("c", 3)}).ok());
  REQUIRE(bench.queue.checkout(9, 1000, 0).size() == 3);
  CHECK_FALSE(bench.queue.next_retry().has_value());
  CHECK(bench.queue.put_off("a", 1, 500, {Cause::source_busy, "busy"}));
  CHECK(bench.queue.put_off("b", 2, 400, {Cause::source_busy, "away"}));
  CHECK(bench.queue.put_off("c", 3, kNoRetry, {Cause::no_source, "nobody has it"}));
  CHECK(bench.other.next_retry() == 400u);
  CHECK(bench.other.find("a")->reason == Reason{Cause::source_busy, "busy"});
  CHECK(ids(bench.other.checkout(9, 1000, 399)) == Ids{});
  CHECK(ids(bench.other.checkout(9, 1000, 400)) == Ids{2});
  CHECK(bench.other.next_retry() == 500u);
  CHECK(ids(bench.other.checkout(9, 1000, kNoRetry)) == Ids{1});
  CHECK_FALSE(bench.other.next_retry().has_value());
  CHECK(bench.queue.find("c")->state == TicketState::waiting);
  CHECK(bench.queue.find("a")->attempts == 1);
  CHECK(bench.queue.find("a")->reason == Reason{});
}

TEST_CASE("TicketQueue: a source that comes online wakes its waiting tickets only") {
  TicketBench bench;
  for (const int slot : {0, 1, 62, 63}) {
    CAPTURE(slot);
    const std::uint64_t bit = std::uint64_t{1} << slot;
    const std::string mine = "mine" + std::to_string(slot);
    const std::string others = "others" + std::to_string(slot);
    const auto id = static_cast<std::uint64_t>(slot) * 2 + 1;
    REQUIRE(bench.queue.put({make_ticket(mine, id, 1, bit), make_ticket(others, id + 1, 1, ~bit)})
                .ok());
    REQUIRE(bench.queue.put_off(mine, id, kNoRetry, {Cause::source_busy, "away"}));
    REQUIRE(bench.queue.put_off(others, id + 1, kNoRetry, {Cause::source_busy, "away"}));
    bench.other.requeue_sources(slot);
    CHECK(bench.queue.find(mine)->state == TicketState::queued);
    CHECK(bench.queue.find(others)->state == TicketState::waiting);
    bench.other.drop_source(slot, Offers::all);
    CHECK(bench.queue.find(mine)->ticket.sources == 0);
    CHECK(bench.queue.find(others)->ticket.sources == ~bit);
    REQUIRE(bench.queue.remove(mine, id));
    REQUIRE(bench.queue.remove(others, id + 1));
  }
  CHECK(bench.queue.totals().bytes == 0);
}

TEST_CASE("TicketQueue: done_bytes counts each block once, and the last as short as it is") {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, kMiB - 1, kMiB, kMiB + 1,
                                   8 * kMiB, 8 * kMiB + 1, 16385 * kMiB, 20000 * kMiB + 7}) {
    CAPTURE(size);
    TicketBench bench;
    REQUIRE(bench.queue.put({make_ticket("a", 1, size)}).ok());
    const std::uint64_t blocks = block_count(size);
    CHECK(bench.queue.mark_done("a", 1, blocks, 10));
    CHECK(bench.queue.mark_done("a", 1, 0, 0));
    CHECK(bench.queue.find("a")->ticket.done.empty());
    CHECK(bench.queue.mark_done("a", 1, 0, 1));
    CHECK(bench.queue.mark_done("a", 1, 0, 1));
    CHECK(bench.queue.totals().done_bytes == std::min(size, block_bytes(size)));
    CHECK(bench.queue.mark_done("a", 1, 0, ~std::uint64_t{0}));
    CHECK(bench.queue.totals().done_bytes == size);
    CHECK(bench.queue.find("a")->ticket.done.size() == (blocks + 7) / 8);
    CHECK(bench.queue.forget_done("a", 1));
    CHECK(bench.queue.totals().done_bytes == 0);
    CHECK(bench.queue.find("a")->ticket.done.empty());
  }
}

TEST_CASE("TicketQueue: everything begins dirty, and the store's tickets come as queued") {
  TicketBench bench;
  Ticket half = make_ticket("b", 2, 2 * kMiB);
  half.done = {0b11111101};
  bench.store = {{1, make_ticket("a", 1)}, {2, half}};
  CHECK(bench.queue.totals().queued == 0);
  CHECK(bench.queue.has_queued());
  CHECK(bench.queue.find("b")->done_bytes == kMiB);
  CHECK(bench.queue.find("b")->ticket.done == std::vector<std::uint8_t>{1});
  CHECK(bench.queue.list().size() == 2);
  CHECK(bench.loads == kShards);

  REQUIRE(ids(bench.queue.checkout(1, 1, 0)) == Ids{1});
  bench.spoil();
  CHECK(bench.queue.find("a")->state == TicketState::queued);
  CHECK(bench.loads == kShards + 1);
}

TEST_CASE("TicketQueue: a load that throws leaves it dirty, and the next one heals it") {
  TicketBench bench;
  bench.store = {{1, make_ticket("a", 1)}};
  TicketQueue broken{bench.segment, [](std::size_t, const TicketQueue::Emit& emit) {
                       emit(make_ticket("x", 9));
                       throw std::runtime_error{"store"};
                     }};
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(broken.has_queued(), std::runtime_error);
  CHECK(ids(bench.queue.list()) == Ids{1});
}

TEST_CASE("TicketQueue: list gives all, the earliest first") {
  TicketBench bench;
  for (std::uint64_t id = 200; id > 0; --id) {
    REQUIRE(bench.queue.put({make_ticket("p" + std::to_string(id), id)}).ok());
  }
  CHECK(ids(bench.other.list()) == first_ids(1, 200));
}

TEST_CASE("TicketQueue: over all shards the earliest is taken first") {
  constexpr unsigned kSeed = 64;
  CAPTURE(kSeed);
  TicketBench bench;
  std::vector<Ticket> tickets;
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    tickets.push_back(make_ticket("p" + std::to_string(id * 37 % 1001), id));
  }
  std::shuffle(tickets.begin(), tickets.end(), std::mt19937{kSeed});
  REQUIRE(bench.queue.put(tickets).ok());
  CHECK(bench.queue.list().size() == tickets.size());
  std::uint64_t next = 1;
  for (std::size_t most = 1; next + most <= 1000; ++most) {
    TicketQueue& through = most % 2 != 0 ? bench.queue : bench.other;
    REQUIRE(ids(through.checkout(most, kNoTicket, 0)) == first_ids(next, most));
    next += most;
  }
}

TEST_CASE("TicketQueue: the earliest is taken first, also where shards are to be loaded") {
  TicketBench bench;
  for (std::uint64_t id = 1; id <= 500; ++id) {
    bench.store[id] = make_ticket("p" + std::to_string(id), id);
  }
  CHECK(ids(bench.queue.checkout(10, kNoTicket, 0)) == first_ids(1, 10));
}

TEST_CASE("TicketQueue: what ends or comes back in one shard changes which one is the earliest") {
  TicketBench bench;
  for (std::uint64_t id = 1; id <= 6; ++id)
    REQUIRE(bench.put(make_ticket(path_in(id, id), id)).ok());
  CHECK(bench.queue.remove(path_in(1, 1), 1));
  CHECK(ids(bench.queue.checkout(2, 1000, 0)) == Ids{2, 3});
  CHECK(bench.other.give_back(path_in(3, 3), 3));
  CHECK(bench.other.put_off(path_in(2, 2), 2, 50, {Cause::source_busy, "busy"}));
  CHECK(ids(bench.queue.checkout(2, 1000, 49)) == Ids{3, 4});
  CHECK(ids(bench.queue.checkout(2, 1000, 50)) == Ids{2, 5});
  CHECK(bench.put(make_ticket(path_in(7, 7), 7)).ok());
  CHECK(bench.put(make_ticket(path_in(6, 6), 8)).ok());  // a newer wish
  CHECK(ids(bench.queue.checkout(9, 1000, 50)) == Ids{7, 8});
}

TEST_CASE("TicketQueue: the next retry is the soonest of all shards, and follows what ends") {
  TicketBench bench;
  for (std::uint64_t id = 1; id <= kShards; ++id) {
    const std::string path = path_in(id - 1, id);
    REQUIRE(bench.put(make_ticket(path, id)).ok());
    REQUIRE(bench.queue.put_off(path, id, 1000 - id, {Cause::source_busy, "busy"}));
    REQUIRE(bench.other.next_retry() == 1000 - id);
  }
  for (std::uint64_t id = kShards; id > 2; --id) {
    REQUIRE(bench.other.next_retry() == 1000 - id);
    const std::string path = path_in(id - 1, id);
    if (id % 3 == 0) REQUIRE(bench.queue.remove(path, id));
    if (id % 3 == 1) REQUIRE(bench.queue.give_back(path, id));
    if (id % 3 == 2)
      REQUIRE(bench.queue.put_off(path, id, kNoRetry, {Cause::source_busy, "nobody has it"}));
  }
  CHECK(bench.other.next_retry() == 998u);
  CHECK(bench.queue.checkout(1000, kNoTicket, 997).size() == 21);
  CHECK(ids(bench.queue.checkout(1000, kNoTicket, 998)) == Ids{2});
  CHECK(ids(bench.queue.checkout(1000, kNoTicket, 999)) == Ids{1});
  CHECK_FALSE(bench.other.next_retry().has_value());
}

TEST_CASE("TicketQueue: what a writer that died left in a shard is looked for, without a list") {
  TicketBench bench;
  REQUIRE(bench.put(make_ticket("a", 5)).ok());
  REQUIRE(bench.queue.checkout(9, 1000, 0).size() == 1);
  CHECK_FALSE(bench.queue.has_queued());
  const Ticket committed = make_ticket(path_in(9, 1), 6);
  bench.store[6] = committed;
  CHECK_FALSE(bench.other.has_queued());
  // As it dies after the first words of a change: dirty, and nobody knows which is the earliest.
  bench.control(committed.wanted.path).guard.dirty.store(1);
  bench.control(committed.wanted.path).first_queued.store(0);
  SUBCASE("by checkout") { CHECK(ids(bench.other.checkout(9, 1000, 0)) == Ids{6}); }
  SUBCASE("by has_queued") { CHECK(bench.other.has_queued()); }
  SUBCASE("where the shard is whole after all") {
    bench.store.erase(6);
    CHECK(bench.other.checkout(9, 1000, 0).empty());
    CHECK_FALSE(bench.other.has_queued());
  }
}

TEST_CASE("TicketQueue: a peer that goes leaves what waited for it to be given up") {
  TicketBench bench;
  REQUIRE(bench.put(make_ticket("only its", 1, 10, 0b10)).ok());
  REQUIRE(bench.put(make_ticket("others' too", 2, 10, 0b11)).ok());
  REQUIRE(bench.put(make_ticket("active", 3, 10, 0b10)).ok());
  REQUIRE(bench.queue.checkout(9, 1000, 0).size() == 3);
  REQUIRE(bench.queue.put_off("only its", 1, kNoRetry, {Cause::source_busy, "away"}));
  REQUIRE(bench.queue.put_off("others' too", 2, kNoRetry, {Cause::source_busy, "away"}));
  bench.other.drop_source(1, Offers::all);
  CHECK(bench.queue.find("active")->state == TicketState::active);
  CHECK(bench.queue.find("others' too")->state == TicketState::waiting);
  CHECK(bench.queue.find("others' too")->ticket.sources == 1);
  CHECK(ids(bench.queue.checkout(9, 1000, 0)) == Ids{1});
  CHECK(bench.queue.find("only its")->ticket.sources == 0);
}

TEST_CASE("TicketQueue: a reason is cut to 200 bytes") {
  TicketBench bench;
  REQUIRE(bench.queue.put({make_ticket("a", 1)}).ok());
  for (const std::size_t size : {0u, 1u, 199u, 200u, 201u, 100'000u}) {
    CAPTURE(size);
    CHECK(bench.queue.fail("a", 1, {Cause::failed, std::string(size, 'r')}));
    CHECK(bench.queue.find("a")->reason.text == std::string(std::min<std::size_t>(size, 200), 'r'));
  }
}

TEST_CASE("TicketQueue: threads that take and put at once lose nothing") {
  TicketBench bench;
  constexpr std::uint64_t kTickets = 600;
  std::thread putter{[&] {
    for (std::uint64_t id = 1; id <= kTickets; ++id) {
      CHECK(bench.queue.put({make_ticket("p" + std::to_string(id), id)}).ok());
    }
  }};
  std::array<std::uint64_t, 2> taken{};
  const auto take = [&](std::uint64_t& count) {
    while (count < kTickets / 2) {
      for (const TicketView& view : bench.queue.checkout(1, 0, 0)) {
        const std::string& path = view.ticket.wanted.path;
        CHECK(bench.queue.mark_done(path, view.ticket.id, 0, 1));
        CHECK(bench.queue.remove(path, view.ticket.id));
        ++count;
      }
    }
  };
  std::thread taker{take, std::ref(taken[0])};
  take(taken[1]);
  taker.join();
  putter.join();
  CHECK(bench.queue.list().empty());
  CHECK(bench.queue.totals().done_bytes == 0);
}

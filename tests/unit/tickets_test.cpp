#include "common/state/tickets.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/base/entry.h"
#include "tests/unit/ticket_bench.h"

using namespace lefting;
using namespace lefting::state;

namespace {

std::vector<std::uint64_t> ids(const std::vector<TicketView>& views) {
  std::vector<std::uint64_t> out;
  for (const TicketView& view : views) out.push_back(view.ticket.id);
  return out;
}

using Ids = std::vector<std::uint64_t>;

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

TEST_CASE("TicketQueue: checkout ends before most_bytes, but always takes the first") {
  for (const std::uint64_t most : {0u, 99u, 100u, 101u, 149u, 150u, 151u, 300u}) {
    CAPTURE(most);
    TicketBench bench;
    Ticket deletion = make_ticket("b", 2, 0);
    deletion.wanted.deleted = true;
    REQUIRE(bench.queue.put({make_ticket("a", 1, 100), deletion, make_ticket("c", 3, 50)}).ok());
    Ids expected{1};
    if (most >= 100) expected.push_back(2);
    if (most >= 150) expected.push_back(3);
    CHECK(ids(bench.queue.checkout(9, most, 0)) == expected);
  }
}

TEST_CASE("TicketQueue: a waiting ticket comes back when its time has come, not before") {
  TicketBench bench;
  REQUIRE(bench.queue.put({make_ticket("a", 1), make_ticket("b", 2), make_ticket("c", 3)}).ok());
  REQUIRE(bench.queue.checkout(9, 1000, 0).size() == 3);
  CHECK_FALSE(bench.queue.next_retry().has_value());
  CHECK(bench.queue.put_off("a", 1, 500, "busy"));
  CHECK(bench.queue.put_off("b", 2, 400, "away"));
  CHECK(bench.queue.put_off("c", 3, kNoRetry, "nobody has it"));
  CHECK(bench.other.next_retry() == 400u);
  CHECK(bench.other.find("a")->reason == "busy");
  CHECK(ids(bench.other.checkout(9, 1000, 399)) == Ids{});
  CHECK(ids(bench.other.checkout(9, 1000, 400)) == Ids{2});
  CHECK(bench.other.next_retry() == 500u);
  CHECK(ids(bench.other.checkout(9, 1000, kNoRetry)) == Ids{1});
  CHECK_FALSE(bench.other.next_retry().has_value());
  CHECK(bench.queue.find("c")->state == TicketState::waiting);
  CHECK(bench.queue.find("a")->attempts == 1);
  CHECK(bench.queue.find("a")->reason.empty());
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
    REQUIRE(bench.queue.put_off(mine, id, kNoRetry, "away"));
    REQUIRE(bench.queue.put_off(others, id + 1, kNoRetry, "away"));
    bench.other.requeue_sources(slot);
    CHECK(bench.queue.find(mine)->state == TicketState::queued);
    CHECK(bench.queue.find(others)->state == TicketState::waiting);
    bench.other.drop_source(slot);
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
  CHECK(bench.queue.totals().queued == 2);
  CHECK(bench.queue.find("b")->done_bytes == kMiB);
  CHECK(bench.queue.find("b")->ticket.done == std::vector<std::uint8_t>{1});
  CHECK(bench.loads == 1);

  REQUIRE(bench.queue.checkout(1, 1, 0).size() == 1);
  bench.spoil();
  CHECK(bench.queue.find("a")->state == TicketState::queued);
  CHECK(bench.loads == 2);
}

TEST_CASE("TicketQueue: a load that throws leaves it dirty, and the next one heals it") {
  TicketBench bench;
  bench.store = {{1, make_ticket("a", 1)}};
  TicketQueue broken{bench.segment, [](const TicketQueue::Emit& emit) {
                       emit(make_ticket("x", 9));
                       throw std::runtime_error{"store"};
                     }};
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(broken.has_queued(), std::runtime_error);
  CHECK(ids(bench.queue.list()) == Ids{1});
}

TEST_CASE("TicketQueue: list gives at most so many, the earliest first") {
  TicketBench bench;
  for (std::uint64_t id = 200; id > 0; --id) {
    REQUIRE(bench.queue.put({make_ticket("p" + std::to_string(id), id)}).ok());
  }
  for (const std::size_t most : {0u, 1u, 7u, 199u, 200u, 201u}) {
    CAPTURE(most);
    const Ids found = ids(bench.other.list(most));
    REQUIRE(found.size() == std::min<std::size_t>(most, 200));
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == i + 1);
  }
}

TEST_CASE("TicketQueue: a reason is cut to 200 bytes") {
  TicketBench bench;
  REQUIRE(bench.queue.put({make_ticket("a", 1)}).ok());
  for (const std::size_t size : {0u, 1u, 199u, 200u, 201u, 100'000u}) {
    CAPTURE(size);
    CHECK(bench.queue.fail("a", 1, std::string(size, 'r')));
    CHECK(bench.queue.find("a")->reason == std::string(std::min<std::size_t>(size, 200), 'r'));
  }
}

TEST_CASE("TicketQueue: where the limit is reached the tickets before are in, and work goes on") {
  TicketBench bench{1 << 20};
  std::vector<Ticket> tickets;
  for (std::uint64_t id = 1; id < 2000; ++id) {
    tickets.push_back(make_ticket(std::to_string(id) + std::string(2000, 'x'), id, 1000));
  }
  const Status done = bench.queue.put(tickets);
  REQUIRE_FALSE(done.ok());
  CHECK(done.error().text().find("segment_limit_mib") != std::string::npos);
  const TicketQueue::Totals totals = bench.queue.totals();
  CHECK(totals.queued > 300);
  CHECK(totals.bytes == totals.queued * 1000);
  CHECK(bench.queue.list().size() == totals.queued);
  const auto taken = bench.queue.checkout(2, 2000, 0);
  REQUIRE(taken.size() == 2);
  CHECK(bench.queue.remove(taken[0].ticket.wanted.path, 1));
  CHECK(bench.queue.put({make_ticket(std::string(2000, 'y'), 9999)}).ok());
  CHECK(bench.loads == 1);
}

TEST_CASE("TicketQueue: a bitmap that doesn't fit is not remembered, and nothing breaks") {
  TicketBench bench{1 << 20};
  const std::uint64_t huge = std::uint64_t{1} << 50;  // 8 MiB of bitmap
  REQUIRE(bench.queue.put({make_ticket("a", 1, huge)}).ok());
  CHECK(bench.queue.mark_done("a", 1, 0, 5));
  CHECK(bench.queue.find("a")->done_bytes == 0);
  Ticket begun = make_ticket("b", 2, huge);
  begun.done = {1};
  CHECK_FALSE(bench.queue.put({begun}).ok());
  CHECK_FALSE(bench.queue.find("b").has_value());
  CHECK(bench.queue.totals().queued == 1);
  CHECK(bench.loads == 1);
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

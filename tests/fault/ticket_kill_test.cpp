// A program dies in the middle of what it does with the tickets in the segment; see
// dictionary_kill_test.cpp.
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/fault/desk.h"
#include "tests/fault/dying_child.h"
#include "tests/fault/shelf.h"

using namespace lefting;
using namespace lefting::state;
using namespace lefting::test;

#ifndef __SANITIZE_THREAD__  // which sees one process only

namespace {

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

#endif  // __SANITIZE_THREAD__

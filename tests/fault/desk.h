#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "common/base/shard.h"
#include "common/state/layout.h"
#include "common/state/segment.h"
#include "common/state/tickets.h"
#include "tests/unit/ticket_totals.h"

namespace lefting::state {

inline Ticket make_ticket(std::string path, std::uint64_t id) {
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
    for (const TicketView& view : all) {
      REQUIRE(view.ticket.wanted == store.at(view.ticket.wanted.path).wanted);
      REQUIRE(view.ticket.id == store.at(view.ticket.wanted.path).id);
    }
    check_totals(queue, all);
  }
};

}  // namespace lefting::state

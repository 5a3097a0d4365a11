#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "common/state/tickets.h"
#include "tests/unit/ticket_bench.h"
#include "tests/unit/ticket_totals.h"

using namespace lefting;
using namespace lefting::state;

namespace {

/// What the queue should hold: a plain map, and each rule of tickets.h written once more.
class Model {
 public:
  std::map<std::string, TicketView> tickets;

  void put(const Ticket& ticket) {
    const auto at = tickets.find(ticket.wanted.path);
    if (at != tickets.end() && at->second.ticket.id > ticket.id) return;
    if (at != tickets.end() && at->second.ticket.id == ticket.id) {
      TicketView& view = at->second;
      const bool another = (ticket.sources & ~view.ticket.sources) != 0;
      const Cause cause = view.reason.cause;
      view.ticket.sources = ticket.sources;
      const bool goes_on = cause == Cause::source_changed || (cause == Cause::no_source && another);
      if (view.state == TicketState::waiting && goes_on) to(view, TicketState::queued);
      if (at->second.done_bytes == 0) set_done(at->second, ticket.done);
      return;
    }
    TicketView view;
    view.ticket = ticket;
    view.ticket.done.clear();
    set_done(view, ticket.done);
    tickets[ticket.wanted.path] = view;
  }

  TicketView* get(const std::string& path, std::uint64_t id) {
    const auto at = tickets.find(path);
    return at == tickets.end() || at->second.ticket.id != id ? nullptr : &at->second;
  }

  std::vector<TicketView> checkout(std::size_t most, std::uint64_t most_bytes, std::uint64_t now) {
    std::map<std::uint64_t, TicketView*> queued;
    for (auto& [path, view] : tickets) {
      if (view.state == TicketState::waiting && view.retry_at_ms <= now)
        to(view, TicketState::queued);
      if (view.state == TicketState::queued) queued[view.ticket.id] = &view;
    }
    std::vector<TicketView> out;
    std::uint64_t bytes = 0;
    for (auto& [id, view] : queued) {
      bytes += view->ticket.wanted.size;
      if (out.size() == most || (!out.empty() && bytes > most_bytes)) break;
      to(*view, TicketState::active);
      out.push_back(*view);
    }
    return out;
  }

  static void to(TicketView& view, TicketState state, std::uint64_t retry_at_ms = 0,
                 Reason reason = {}) {
    view.state = state;
    view.retry_at_ms = retry_at_ms;
    view.reason = std::move(reason);
  }

  static void mark(TicketView& view, std::uint64_t block) {
    const std::uint64_t size = view.ticket.wanted.size;
    const std::uint64_t blocks = block_count(size);
    if (block >= blocks) return;
    view.ticket.done.resize((blocks + 7) / 8);
    std::uint8_t& byte = view.ticket.done[block / 8];
    const auto bit = static_cast<std::uint8_t>(1u << block % 8);
    if ((byte & bit) != 0) return;
    byte = static_cast<std::uint8_t>(byte | bit);
    view.done_bytes += block + 1 == blocks ? size - block * block_bytes(size) : block_bytes(size);
  }

 private:
  static void set_done(TicketView& view, const std::vector<std::uint8_t>& done) {
    for (std::uint64_t block = 0; block < done.size() * 8; ++block) {
      if ((done[block / 8] >> block % 8 & 1) != 0) mark(view, block);
    }
  }
};

void check_view(const TicketView& found, const TicketView& expected) {
  CAPTURE(found.ticket.wanted.path);
  REQUIRE(found.ticket == expected.ticket);
  REQUIRE(found.state == expected.state);
  REQUIRE(found.done_bytes == expected.done_bytes);
  REQUIRE(found.attempts == expected.attempts);
  REQUIRE(found.retry_at_ms == expected.retry_at_ms);
  REQUIRE(found.reason == expected.reason);
}

void check_same(const TicketQueue& queue, const Model& model) {
  const std::vector<TicketView> all = queue.list();
  REQUIRE(all.size() == model.tickets.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i > 0) REQUIRE(all[i - 1].ticket.id < all[i].ticket.id);
    check_view(all[i], model.tickets.at(all[i].ticket.wanted.path));
  }
  const TicketQueue::Totals totals = check_totals(queue, all);
  REQUIRE(queue.has_queued() == (totals.queued != 0));
}

/// One random change of both, the queue through either attachment.
class Walk {
 public:
  Walk(TicketBench& bench, unsigned seed) : bench_{bench}, random_{seed} {}

  void step() {
    TicketQueue& queue = random_() % 2 != 0 ? bench_.queue : bench_.other;
    const std::uint64_t kind = random_() % 12;
    if (kind < 4) return put(queue);
    if (kind == 4) return checkout(queue);
    if (kind == 5) return everywhere(queue);
    one(queue, kind);
  }

  Model model;

 private:
  void put(TicketQueue& queue) {
    std::vector<Ticket> batch;
    for (std::uint64_t i = random_() % 4; i > 0; --i) {
      const std::string path = "p" + std::to_string(random_() % 60);
      Ticket ticket = make_ticket(path, ++last_id_, random_() % (20 * kMiB), random_() % 16);
      if (const auto old = model.tickets.find(path); old != model.tickets.end()) {
        const std::uint64_t choice = random_() % 3;
        if (choice == 0) ticket = old->second.ticket;
        if (choice == 1) ticket.id = old->second.ticket.id - old->second.ticket.id % 2;
        if (ticket.id == old->second.ticket.id) ticket.wanted = old->second.ticket.wanted;
      }
      ticket.done.clear();
      if (random_() % 3 == 0)
        ticket.done.assign(random_() % 5, static_cast<std::uint8_t>(random_()));
      batch.push_back(ticket);
      model.put(ticket);
    }
    REQUIRE(queue.put(batch).ok());
  }

  void checkout(TicketQueue& queue) {
    now_ += random_() % 100;
    const std::size_t most = random_() % 6;
    const std::uint64_t most_bytes = random_() % (60 * kMiB);
    const auto expected = model.checkout(most, most_bytes, now_);
    const auto found = queue.checkout(most, most_bytes, now_);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) check_view(found[i], expected[i]);
  }

  void everywhere(TicketQueue& queue) {
    const int slot = static_cast<int>(random_() % 4);
    const std::uint64_t kind = random_() % 8;
    if (kind == 0) queue.requeue_all();
    if (kind == 1) queue.drop_source(slot, Offers::all);
    if (kind > 1) queue.requeue_sources(slot);
    for (auto& [path, view] : model.tickets) {
      const bool has = (view.ticket.sources >> slot & 1) != 0;
      if (kind == 0 && (view.state == TicketState::active || view.state == TicketState::failed)) {
        Model::to(view, TicketState::queued);
      }
      if (kind == 1) {
        view.ticket.sources &= ~(std::uint64_t{1} << slot);
        // Nobody has it: it comes back, to be given up.
        const bool given_up = view.ticket.sources == 0 && view.state == TicketState::waiting;
        if (given_up) Model::to(view, TicketState::queued);
      }
      if (kind > 1 && has && view.state == TicketState::waiting) {
        Model::to(view, TicketState::queued);
      }
    }
  }

  void one(TicketQueue& queue, std::uint64_t kind) {
    if (model.tickets.empty()) return;
    const auto at = std::next(model.tickets.begin(),
                              static_cast<std::ptrdiff_t>(random_() % model.tickets.size()));
    const std::string path = at->first;
    const std::uint64_t id = at->second.ticket.id - (random_() % 5 == 0 ? 1 : 0);
    TicketView* view = model.get(path, id);
    const bool expected = view != nullptr;
    const std::uint64_t first = random_() % 24;
    const std::uint64_t count = random_() % 5;
    const std::uint64_t retry = random_() % 3 == 0 ? kNoRetry : now_ + random_() % 200;
    constexpr Cause kCauses[] = {Cause::failed, Cause::no_space, Cause::no_source,
                                 Cause::source_changed};
    const Reason reason{kCauses[random_() % std::size(kCauses)], std::string(random_() % 200, 'r')};
    if (kind == 6) REQUIRE(queue.put_off(path, id, retry, reason) == expected);
    if (kind == 7) REQUIRE(queue.fail(path, id, reason) == expected);
    if (kind == 8) REQUIRE(queue.give_back(path, id) == expected);
    if (kind == 9) REQUIRE(queue.remove(path, id) == expected);
    if (kind == 10) REQUIRE(queue.mark_done(path, id, first, count) == expected);
    if (kind == 11) REQUIRE(queue.forget_done(path, id) == expected);
    if (!expected) return;
    if (kind == 6) {
      if (retry == kNoRetry && view->ticket.sources == 0) {
        Model::to(*view, TicketState::queued);
      } else {
        Model::to(*view, TicketState::waiting, retry, reason);
      }
      ++view->attempts;
    }
    if (kind == 7) Model::to(*view, TicketState::failed, 0, reason);
    if (kind == 8) Model::to(*view, TicketState::queued);
    if (kind == 9) model.tickets.erase(at);
    if (kind == 10) {
      for (std::uint64_t block = first; block < first + count; ++block) Model::mark(*view, block);
    }
    if (kind == 11) {
      view->ticket.done.clear();
      view->done_bytes = 0;
    }
  }

  TicketBench& bench_;
  std::mt19937 random_;
  std::uint64_t last_id_ = 1000;
  std::uint64_t now_ = 0;
};

}  // namespace

TEST_CASE("TicketQueue: it does what a map would do, through any transitions") {
  for (const unsigned seed : {1u, 2u, 3u}) {
    CAPTURE(seed);
    TicketBench bench;
    Walk walk{bench, seed};
    for (int step = 0; step < 4000; ++step) {
      CAPTURE(step);
      walk.step();
      if (step % 20 == 0) check_same(bench.other, walk.model);
    }
    CHECK(bench.loads == kShards);
  }
}

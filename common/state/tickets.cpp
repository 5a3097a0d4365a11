#include "common/state/tickets.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "common/base/assert.h"
#include "common/state/arena.h"
#include "common/state/guard.h"
#include "common/state/layout.h"
#include "common/state/ticket_table.h"

namespace lefting::state {

namespace {

std::uint64_t source_bit(int slot) {
  LEFTING_ASSERT(slot >= 0 && slot < kMaxPeers);
  return std::uint64_t{1} << slot;
}

/// The tickets, locked and whole.
class QueueLock {
 public:
  /// Throws what `load` throws, OutOfRoom, std::system_error (lock).
  QueueLock(Segment& segment, const TicketQueue::Load& load)
      : control_{segment.layout().tickets},
        arena_{segment, control_.arena},
        lock_{control_.guard, [&] { reload(load); }} {}

  TicketTable& table() { return *static_cast<TicketTable*>(arena_.root()); }

  /// Calls `change(table, arena)` as one WriteSection. Returns what it returns.
  template <class Change>
  auto write(Change&& change) {
    const WriteSection section{control_.guard};
    const Publish publish{*this};
    return change(table(), arena_);
  }

  /// write() with the path's ticket, if it still has that id; false if not.
  template <class Change>
  bool write_ticket(std::string_view path, std::uint64_t id, Change&& change) {
    TicketNode* node = table().find(path_key(path));
    if (node == nullptr || node->data.id != id) return false;
    write([&](TicketTable& tickets, Arena& arena) { change(tickets, arena, *node); });
    return true;
  }

 private:
  struct Publish {
    QueueLock& lock;
    ~Publish() { lock.publish(); }
  };

  void reload(const TicketQueue::Load& load) {
    if (const Status done = arena_.reset(); !done.ok()) throw OutOfRoom{done.error()};
    const Result<TicketTable*> table = TicketTable::make(arena_);
    if (!table.ok()) throw OutOfRoom{table.error()};
    load([&](const Ticket& ticket) {
      const Status done = table.value()->put(arena_, ticket);
      if (!done.ok()) throw OutOfRoom{done.error()};
    });
    publish();
  }

  void publish() {
    const TicketQueue::Totals& totals = table().totals();
    control_.queued.store(totals.queued, std::memory_order_relaxed);
    control_.active.store(totals.active, std::memory_order_relaxed);
    control_.waiting.store(totals.waiting, std::memory_order_relaxed);
    control_.failed.store(totals.failed, std::memory_order_relaxed);
    control_.bytes.store(totals.bytes, std::memory_order_relaxed);
    control_.done_bytes.store(totals.done_bytes, std::memory_order_relaxed);
  }

  TicketControl& control_;
  Arena arena_;
  GuardLock lock_;
};

}  // namespace

const char* to_text(TicketState state) {
  switch (state) {
    case TicketState::queued:
      return "queued";
    case TicketState::active:
      return "active";
    case TicketState::waiting:
      return "waiting";
    case TicketState::failed:
      return "failed";
  }
  return "unknown";
}

TicketQueue::TicketQueue(Segment& segment, Load load) : segment_{segment}, load_{std::move(load)} {}

Status TicketQueue::put(const std::vector<Ticket>& tickets) {
  for (const Ticket& ticket : tickets) {  // a lock each: nobody waits for a long list
    QueueLock lock{segment_, load_};
    Status done =
        lock.write([&](TicketTable& table, Arena& arena) { return table.put(arena, ticket); });
    if (!done.ok()) return done;
  }
  return {};
}

std::optional<TicketView> TicketQueue::find(std::string_view path) const {
  QueueLock lock{segment_, load_};
  const TicketNode* node = lock.table().find(path_key(path));
  if (node == nullptr) return std::nullopt;
  return to_view(*node);
}

std::vector<TicketView> TicketQueue::checkout(std::size_t most_tickets, std::uint64_t most_bytes,
                                              std::uint64_t now_ms) {
  std::vector<TicketView> out;
  std::uint64_t bytes = 0;
  QueueLock lock{segment_, load_};
  lock.write([&](TicketTable& table, Arena& arena) {
    table.queue_ripe(arena, now_ms);
    while (out.size() < most_tickets && !table.queued().empty()) {
      TicketNode& node = *table.queued().begin();
      const std::uint64_t size = node.data.deleted ? 0 : node.data.size;
      if (!out.empty() && (bytes > most_bytes || size > most_bytes - bytes)) return;
      bytes += size;
      table.set_state(arena, node, TicketState::active);
      out.push_back(to_view(node));
    }
  });
  return out;
}

std::optional<std::uint64_t> TicketQueue::next_retry() const {
  QueueLock lock{segment_, load_};
  const WaitingTickets& waiting = lock.table().waiting();
  if (waiting.empty() || waiting.begin()->data.retry_at_ms == kNoRetry) return std::nullopt;
  return waiting.begin()->data.retry_at_ms;
}

bool TicketQueue::has_queued() const {
  QueueLock lock{segment_, load_};
  return !lock.table().queued().empty();
}

bool TicketQueue::mark_done(std::string_view path, std::uint64_t id, std::uint64_t first,
                            std::uint64_t count) {
  QueueLock lock{segment_, load_};
  return lock.write_ticket(path, id, [&](TicketTable& table, Arena& arena, TicketNode& node) {
    // Without room for the bitmap the blocks are only not remembered here: the store has them.
    static_cast<void>(table.mark_done(arena, node, first, count));
  });
}

bool TicketQueue::forget_done(std::string_view path, std::uint64_t id) {
  QueueLock lock{segment_, load_};
  return lock.write_ticket(path, id, [](TicketTable& table, Arena& arena, TicketNode& node) {
    table.forget_done(arena, node);
  });
}

bool TicketQueue::put_off(std::string_view path, std::uint64_t id, std::uint64_t retry_at_ms,
                          std::string_view reason) {
  QueueLock lock{segment_, load_};
  return lock.write_ticket(path, id, [&](TicketTable& table, Arena& arena, TicketNode& node) {
    table.set_state(arena, node, TicketState::waiting, retry_at_ms);
    ++node.data.attempts;
    table.set_reason(arena, node, reason);
  });
}

bool TicketQueue::fail(std::string_view path, std::uint64_t id, std::string_view reason) {
  QueueLock lock{segment_, load_};
  return lock.write_ticket(path, id, [&](TicketTable& table, Arena& arena, TicketNode& node) {
    table.set_state(arena, node, TicketState::failed);
    table.set_reason(arena, node, reason);
  });
}

bool TicketQueue::give_back(std::string_view path, std::uint64_t id) {
  QueueLock lock{segment_, load_};
  return lock.write_ticket(path, id, [](TicketTable& table, Arena& arena, TicketNode& node) {
    table.set_state(arena, node, TicketState::queued);
  });
}

bool TicketQueue::remove(std::string_view path, std::uint64_t id) {
  QueueLock lock{segment_, load_};
  return lock.write_ticket(path, id, [](TicketTable& table, Arena& arena, TicketNode& node) {
    table.erase(arena, node);
  });
}

void TicketQueue::requeue_all() {
  QueueLock lock{segment_, load_};
  lock.write([](TicketTable& table, Arena& arena) {
    for (TicketNode& node : table.all()) {
      const TicketState state = node.data.state;
      if (state != TicketState::active && state != TicketState::failed) continue;
      table.set_state(arena, node, TicketState::queued);
    }
  });
}

void TicketQueue::requeue_sources(int slot) {
  const std::uint64_t bit = source_bit(slot);
  QueueLock lock{segment_, load_};
  lock.write([&](TicketTable& table, Arena& arena) {
    WaitingTickets& waiting = table.waiting();
    for (auto at = waiting.begin(); at != waiting.end();) {
      TicketNode& node = *at++;
      if ((node.data.sources & bit) == 0) continue;
      table.set_state(arena, node, TicketState::queued);
    }
  });
}

void TicketQueue::drop_source(int slot) {
  const std::uint64_t bit = source_bit(slot);
  QueueLock lock{segment_, load_};
  lock.write([&](TicketTable& table, Arena&) {
    for (TicketNode& node : table.all()) node.data.sources &= ~bit;
  });
}

std::vector<TicketView> TicketQueue::list(std::size_t most) const {
  std::vector<const TicketNode*> nodes;
  std::vector<TicketView> out;
  const Totals before = totals();
  nodes.reserve(before.queued + before.active + before.waiting + before.failed);
  out.reserve(std::min(most, nodes.capacity()));
  QueueLock lock{segment_, load_};
  for (const TicketNode& node : lock.table().all()) nodes.push_back(&node);
  const auto end = nodes.begin() + static_cast<std::ptrdiff_t>(std::min(most, nodes.size()));
  std::partial_sort(nodes.begin(), end, nodes.end(), [](const TicketNode* a, const TicketNode* b) {
    return a->data.id < b->data.id;
  });
  for (auto at = nodes.begin(); at != end; ++at) out.push_back(to_view(**at));
  return out;
}

TicketQueue::Totals TicketQueue::totals() const {
  const TicketControl& control = segment_.layout().tickets;
  return {.queued = control.queued.load(std::memory_order_relaxed),
          .active = control.active.load(std::memory_order_relaxed),
          .waiting = control.waiting.load(std::memory_order_relaxed),
          .failed = control.failed.load(std::memory_order_relaxed),
          .bytes = control.bytes.load(std::memory_order_relaxed),
          .done_bytes = control.done_bytes.load(std::memory_order_relaxed)};
}

}  // namespace lefting::state

#include "common/state/tickets.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "common/base/assert.h"
#include "common/base/shard.h"
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

/// Below this an arena is kept as it is, in bytes.
constexpr std::uint64_t kWorthShrinking = 64 << 10;

/// The tickets of a shard, locked and whole.
class QueueLock {
 public:
  /// Throws what `load` throws, std::system_error (lock).
  QueueLock(Segment& segment, std::size_t shard, const TicketQueue::Load& load)
      : control_{segment.layout().tickets.at(shard)},
        arena_{segment, control_.arena},
        lock_{control_.guard, [&] { reload(shard, load); }} {
    arena_.fault_point(FaultPoint::tickets_locked);
  }

  TicketTable& table() { return *static_cast<TicketTable*>(arena_.root()); }

  /// Calls `change(table, arena)` as one WriteSection. Returns what it returns.
  template <class Change>
  auto write(Change&& change) {
    const WriteSection section{control_.guard};
    // Who dies here leaves the words so that somebody looks, and finds the shard dirty.
    control_.first_queued.store(0, std::memory_order_relaxed);
    arena_.fault_point(FaultPoint::tickets_begun);
    const Publish publish{*this};
    return change(table(), arena_);
  }

  /// write() with the path's ticket, if it still has that id; false if not.
  template <class Change>
  bool write_ticket(const PathKey& key, std::uint64_t id, Change&& change) {
    TicketNode* node = table().find(key);
    if (node == nullptr || node->data.id != id) return false;
    write([&](TicketTable& tickets, Arena& arena) { change(tickets, arena, *node); });
    return true;
  }

  /// A ticket has found no room.
  void note_partial() {
    control_.partial.store(1, std::memory_order_relaxed);
    control_.loaded.store(table().all().size(), std::memory_order_relaxed);
  }

  /// After tickets were taken out: memory goes back, and what found no room is loaded.
  void make_room() {
    const std::size_t left = table().all().size();
    const bool is_large =
        left == 0 && control_.arena.committed.load(std::memory_order_relaxed) > kWorthShrinking;
    const bool has_room = control_.partial.load(std::memory_order_relaxed) != 0 &&
                          left <= control_.loaded.load(std::memory_order_relaxed) / 2;
    if (!is_large && !has_room) return;
    control_.guard.stale.store(1);
    control_.first_queued.store(0, std::memory_order_relaxed);
  }

 private:
  struct Publish {
    QueueLock& lock;
    ~Publish() {
      lock.publish();
      lock.arena_.fault_point(FaultPoint::tickets_ended);
    }
  };

  void reload(std::size_t shard, const TicketQueue::Load& load) {
    control_.first_queued.store(0, std::memory_order_relaxed);
    arena_.reset();
    TicketTable& table = TicketTable::make(arena_);
    bool all = true;
    load(shard, [&](const Ticket& ticket) {
      if (shard_of(ticket.wanted.path) != shard) return;
      arena_.fault_point(FaultPoint::tickets_reloading);
      all &= table.put(arena_, ticket).ok();
    });
    control_.partial.store(0, std::memory_order_relaxed);
    if (!all) note_partial();
    publish();
  }

  void publish() {
    TicketTable& tickets = table();
    const TicketQueue::Totals& totals = tickets.totals();
    control_.queued.store(totals.queued, std::memory_order_relaxed);
    control_.active.store(totals.active, std::memory_order_relaxed);
    control_.waiting.store(totals.waiting, std::memory_order_relaxed);
    control_.failed.store(totals.failed, std::memory_order_relaxed);
    control_.bytes.store(totals.bytes, std::memory_order_relaxed);
    control_.done_bytes.store(totals.done_bytes, std::memory_order_relaxed);
    const auto& queued = tickets.queued();
    const auto& waiting = tickets.waiting();
    control_.next_retry_ms.store(waiting.empty() ? kNoRetry : waiting.begin()->data.retry_at_ms,
                                 std::memory_order_relaxed);
    control_.first_queued.store(queued.empty() ? kNoTicket : queued.begin()->data.id,
                                std::memory_order_relaxed);
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
  Status all;
  for (const Ticket& ticket : tickets) {  // a lock each: nobody waits for a long list
    QueueLock lock{segment_, shard_of(ticket.wanted.path), load_};
    Status done =
        lock.write([&](TicketTable& table, Arena& arena) { return table.put(arena, ticket); });
    if (done.ok()) continue;
    lock.note_partial();
    all = std::move(done);
  }
  return all;
}

std::optional<TicketView> TicketQueue::find(std::string_view path) const {
  const PathKey key = path_key(path);
  QueueLock lock{segment_, shard_of_hash(key.hash), load_};
  const TicketNode* node = lock.table().find(key);
  if (node == nullptr) return std::nullopt;
  return to_view(*node);
}

std::size_t TicketQueue::first_shard() const {
  std::size_t first = kShards;
  std::uint64_t lowest = kNoTicket;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    const std::uint64_t id =
        segment_.layout().tickets[shard].first_queued.load(std::memory_order_relaxed);
    if (id >= lowest) continue;
    lowest = id;
    first = shard;
  }
  return first;
}

void TicketQueue::load_left_over() {
  for (TicketControl& control : segment_.layout().tickets) {
    if (control.partial.load(std::memory_order_relaxed) == 0) continue;
    const std::uint64_t here = control.queued.load(std::memory_order_relaxed) +
                               control.active.load(std::memory_order_relaxed) +
                               control.waiting.load(std::memory_order_relaxed);
    if (here != 0) continue;
    control.guard.stale.store(1);
    control.first_queued.store(0, std::memory_order_relaxed);
  }
}

void TicketQueue::queue_ripe(std::uint64_t now_ms) {
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    const auto& control = segment_.layout().tickets[shard];
    if (control.next_retry_ms.load(std::memory_order_relaxed) > now_ms) continue;
    QueueLock lock{segment_, shard, load_};
    lock.write([&](TicketTable& table, Arena& arena) { table.queue_ripe(arena, now_ms); });
  }
}

std::vector<TicketView> TicketQueue::checkout(std::size_t most_tickets, std::uint64_t most_bytes,
                                              std::uint64_t now_ms) {
  std::vector<TicketView> out;
  std::uint64_t bytes = 0;
  bool full = false;
  queue_ripe(now_ms);
  load_left_over();
  while (!full && out.size() < most_tickets) {
    const std::size_t shard = first_shard();
    if (shard == kShards) break;
    const auto& word = segment_.layout().tickets[shard].first_queued;
    const bool known = word.load(std::memory_order_relaxed) != 0;
    QueueLock lock{segment_, shard, load_};
    lock.write([&](TicketTable& table, Arena& arena) {
      if (!known || table.queued().empty()) return;  // the word is right now: compared anew
      TicketNode& node = *table.queued().begin();
      const std::uint64_t size = node.data.deleted ? 0 : node.data.size;
      const bool is_much = bytes > most_bytes || size > most_bytes - bytes;
      // A deletion costs nothing, and may be the other half of a rename.
      full = !out.empty() && is_much && !node.data.deleted;
      if (full) return;
      bytes += size;
      table.set_state(arena, node, TicketState::active);
      out.push_back(to_view(node));
    });
  }
  return out;
}

std::optional<std::uint64_t> TicketQueue::next_retry() const {
  std::uint64_t next = kNoRetry;
  for (const TicketControl& control : segment_.layout().tickets) {
    next = std::min(next, control.next_retry_ms.load(std::memory_order_relaxed));
  }
  if (next == kNoRetry) return std::nullopt;
  return next;
}

bool TicketQueue::has_queued() const {
  for (std::size_t shard = first_shard(); shard < kShards; shard = first_shard()) {
    QueueLock lock{segment_, shard, load_};
    if (!lock.table().queued().empty()) return true;
    lock.write([](TicketTable&, Arena&) {});  // its word was unknown
  }
  return false;
}

std::size_t TicketQueue::partial_shards() const {
  std::size_t count = 0;
  for (const TicketControl& control : segment_.layout().tickets) {
    count += control.partial.load(std::memory_order_relaxed);
  }
  return count;
}

bool TicketQueue::mark_done(std::string_view path, std::uint64_t id, std::uint64_t first,
                            std::uint64_t count) {
  return change(path, id, [&](TicketTable& table, Arena& arena, TicketNode& node) {
    // Without room for the bitmap the blocks are only not remembered here: the store has them.
    static_cast<void>(table.mark_done(arena, node, first, count));
  });
}

bool TicketQueue::forget_done(std::string_view path, std::uint64_t id) {
  return change(path, id, [](TicketTable& table, Arena& arena, TicketNode& node) {
    table.forget_done(arena, node);
  });
}

bool TicketQueue::put_off(std::string_view path, std::uint64_t id, std::uint64_t retry_at_ms,
                          const Reason& reason) {
  return change(path, id, [&](TicketTable& table, Arena& arena, TicketNode& node) {
    ++node.data.attempts;
    // It has lost its last source meanwhile: who looks at it gives it up.
    if (retry_at_ms == kNoRetry && node.data.sources == 0) {
      return table.set_state(arena, node, TicketState::queued);
    }
    table.set_state(arena, node, TicketState::waiting, retry_at_ms);
    table.set_reason(arena, node, reason);
  });
}

bool TicketQueue::fail(std::string_view path, std::uint64_t id, const Reason& reason) {
  return change(path, id, [&](TicketTable& table, Arena& arena, TicketNode& node) {
    table.set_state(arena, node, TicketState::failed);
    table.set_reason(arena, node, reason);
  });
}

bool TicketQueue::give_back(std::string_view path, std::uint64_t id) {
  return change(path, id, [](TicketTable& table, Arena& arena, TicketNode& node) {
    table.set_state(arena, node, TicketState::queued);
  });
}

bool TicketQueue::remove(std::string_view path, std::uint64_t id) {
  const PathKey key = path_key(path);
  QueueLock lock{segment_, shard_of_hash(key.hash), load_};
  const bool found = lock.write_ticket(
      key, id,
      [](TicketTable& table, Arena& arena, TicketNode& node) { table.erase(arena, node); });
  if (found) lock.make_room();
  return found;
}

template <class Change>
bool TicketQueue::change(std::string_view path, std::uint64_t id, Change&& change) {
  const PathKey key = path_key(path);
  QueueLock lock{segment_, shard_of_hash(key.hash), load_};
  return lock.write_ticket(key, id, std::forward<Change>(change));
}

void TicketQueue::requeue_all() {
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    QueueLock lock{segment_, shard, load_};
    lock.write([](TicketTable& table, Arena& arena) {
      for (TicketNode& node : table.all()) {
        const TicketState state = node.data.state;
        if (state != TicketState::active && state != TicketState::failed) continue;
        table.set_state(arena, node, TicketState::queued);
      }
    });
  }
}

void TicketQueue::requeue_sources(int slot) {
  const std::uint64_t bit = source_bit(slot);
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    QueueLock lock{segment_, shard, load_};
    lock.write([&](TicketTable& table, Arena& arena) {
      WaitingTickets& waiting = table.waiting();
      for (auto at = waiting.begin(); at != waiting.end();) {
        TicketNode& node = *at++;
        if ((node.data.sources & bit) == 0) continue;
        table.set_state(arena, node, TicketState::queued);
      }
    });
  }
}

void TicketQueue::drop_source(int slot, Offers offers) {
  const std::uint64_t bit = source_bit(slot);
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    QueueLock lock{segment_, shard, load_};
    lock.write([&](TicketTable& table, Arena& arena) {
      for (TicketNode& node : table.all()) {
        if (node.data.deleted && offers == Offers::files) continue;
        node.data.sources &= ~bit;
        const bool idle = node.data.state == TicketState::waiting;
        if (node.data.sources == 0 && idle) table.set_state(arena, node, TicketState::queued);
      }
    });
  }
}

std::vector<TicketView> TicketQueue::list() const {
  std::vector<TicketView> out;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    QueueLock lock{segment_, shard, load_};
    for (const TicketNode& node : lock.table().all()) out.push_back(to_view(node));
  }
  std::ranges::sort(out, {}, [](const TicketView& view) { return view.ticket.id; });
  return out;
}

TicketQueue::Totals TicketQueue::totals() const {
  Totals sum;
  for (const TicketControl& control : segment_.layout().tickets) {
    sum.queued += control.queued.load(std::memory_order_relaxed);
    sum.active += control.active.load(std::memory_order_relaxed);
    sum.waiting += control.waiting.load(std::memory_order_relaxed);
    sum.failed += control.failed.load(std::memory_order_relaxed);
    sum.bytes += control.bytes.load(std::memory_order_relaxed);
    sum.done_bytes += control.done_bytes.load(std::memory_order_relaxed);
  }
  return sum;
}

}  // namespace lefting::state

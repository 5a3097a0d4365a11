#pragma once

#include <boost/interprocess/offset_ptr.hpp>
#include <boost/intrusive/set.hpp>
#include <boost/intrusive/unordered_set.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/state/arena.h"
#include "common/state/path_key.h"
#include "common/state/tickets.h"

namespace lefting::state {

namespace bi = boost::intrusive;
using SegmentPointer = bi::void_pointer<boost::interprocess::offset_ptr<void>>;
using NormalLink = bi::link_mode<bi::normal_link>;
using TicketPathHook = bi::unordered_set_base_hook<SegmentPointer, NormalLink>;
/// In the set of the queued or of the waiting tickets, never in both.
using TicketOrderHook = bi::set_base_hook<SegmentPointer, NormalLink, bi::optimize_size<true>>;

/// The fixed part of a ticket; its version counters and its path follow.
struct TicketData {
  std::uint64_t path_hash = 0;
  std::uint64_t id = 0;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::uint64_t sources = 0;
  std::uint64_t done_bytes = 0;
  std::uint64_t retry_at_ms = 0;
  boost::interprocess::offset_ptr<std::uint8_t> done;  ///< bitmap of blocks; null: none is done
  boost::interprocess::offset_ptr<char> reason;        ///< why, in words; null: none
  std::uint32_t attempts = 0;
  std::uint16_t mode = 0;
  std::uint16_t path_bytes = 0;
  std::uint16_t version_count = 0;
  std::uint16_t reason_bytes = 0;
  TicketState state = TicketState::queued;
  Cause cause = Cause::none;
  ContentHash hash;
  bool has_hash = false;
  bool deleted = false;
  bool announced = false;

  VersionCounter* versions() { return reinterpret_cast<VersionCounter*>(this + 1); }
  const VersionCounter* versions() const {
    return reinterpret_cast<const VersionCounter*>(this + 1);
  }
  std::string_view path() const {
    return {reinterpret_cast<const char*>(versions() + version_count), path_bytes};
  }
};

struct TicketNode : TicketPathHook, TicketOrderHook {
  TicketData data;
};
TicketView to_view(const TicketNode& node);

struct HashTicket {
  std::size_t operator()(const TicketNode& node) const { return node.data.path_hash; }
  std::size_t operator()(const PathKey& key) const { return key.hash; }
};
struct EqualTicket {
  bool operator()(const TicketNode& a, const TicketNode& b) const { return &a == &b; }
  bool operator()(const PathKey& key, const TicketNode& node) const {
    return key.hash == node.data.path_hash && key.path == node.data.path();
  }
};
struct EarlierTicket {
  bool operator()(const TicketNode& a, const TicketNode& b) const { return a.data.id < b.data.id; }
};
struct SoonerTicket {
  bool operator()(const TicketNode& a, const TicketNode& b) const {
    return a.data.retry_at_ms < b.data.retry_at_ms;
  }
};

using TicketPaths =
    bi::unordered_set<TicketNode, bi::base_hook<TicketPathHook>, bi::hash<HashTicket>,
                      bi::equal<EqualTicket>, bi::power_2_buckets<true>>;
using QueuedTickets =
    bi::multiset<TicketNode, bi::base_hook<TicketOrderHook>, bi::compare<EarlierTicket>>;
using WaitingTickets =
    bi::multiset<TicketNode, bi::base_hook<TicketOrderHook>, bi::compare<SoonerTicket>>;

/// The tickets of one shard's paths, in their arena. Needs the shard's lock; what changes it needs
/// a WriteSection.
///
/// 1. Each ticket is in `paths`, and in `queued` or `waiting` exactly if that is its state.
/// 2. `totals` are right after every function.
class TicketTable {
 public:
  /// Makes an empty one, the root of a new arena.
  static TicketTable& make(Arena& arena);

  /// As TicketQueue::put for one ticket. Errors: no room, or too much of path or version; the
  /// path's older ticket is gone then.
  Status put(Arena& arena, const Ticket& ticket);
  TicketNode* find(const PathKey& key);
  void erase(Arena& arena, TicketNode& node);

  /// The state from now on; the reason is forgotten. `retry_at_ms`: only for waiting.
  void set_state(Arena& arena, TicketNode& node, TicketState state, std::uint64_t retry_at_ms = 0);
  /// Where memory for the text is refused there is none.
  void set_reason(Arena& arena, TicketNode& node, const Reason& reason);
  /// Sets blocks [first, first+count) done, as far as the file has them.
  /// Errors: no room for the bitmap; nothing is marked then.
  Status mark_done(Arena& arena, TicketNode& node, std::uint64_t first, std::uint64_t count);
  void forget_done(Arena& arena, TicketNode& node);
  /// Waiting tickets whose time has come become queued.
  void queue_ripe(Arena& arena, std::uint64_t now_ms);

  TicketPaths& all() { return paths_; }
  QueuedTickets& queued() { return queued_; }
  WaitingTickets& waiting() { return waiting_; }
  const TicketQueue::Totals& totals() const { return totals_; }

 private:
  explicit TicketTable(TicketPaths::bucket_traits buckets) : paths_{buckets} {}
  void refresh(Arena& arena, TicketNode& node, const Ticket& ticket);
  Status put_new(Arena& arena, const Ticket& ticket);
  Status grow_buckets(Arena& arena);
  void take_out_of_order(TicketNode& node);
  void put_into_order(TicketNode& node);
  std::uint64_t& count_of(TicketState state);

  TicketPaths paths_;
  QueuedTickets queued_;
  WaitingTickets waiting_;
  TicketQueue::Totals totals_;
};

}  // namespace lefting::state

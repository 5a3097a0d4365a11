#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/entry.h"
#include "common/base/reason.h"
#include "common/base/result.h"
#include "common/state/segment.h"

namespace lefting::state {

enum class TicketState : std::uint8_t {
  queued,   ///< will be taken, earliest first
  active,   ///< the downloader is at it
  waiting,  ///< can't go on now: again at `retry_at_ms`, or when a source comes online
  failed,   ///< can't go on without somebody's help (kept, tried again after a restart)
};
const char* to_text(TicketState state);

/// A ticket as the segment has it: with what the store needn't know.
struct TicketView {
  Ticket ticket;
  TicketState state = TicketState::queued;
  std::uint64_t done_bytes = 0;
  std::uint32_t attempts = 0;     ///< how often it was put off since it was new
  std::uint64_t retry_at_ms = 0;  ///< monotonic_ms(); kNoRetry: only a source can wake it
  Reason reason;                  ///< why it waits or failed; its text has at most 200 bytes
};
inline constexpr std::uint64_t kNoRetry = ~std::uint64_t{0};
inline constexpr std::uint64_t kNoTicket = ~std::uint64_t{0};

/// The tickets in the segment: by path, and in order of arrival. One lock a shard, by the path.
///
/// 1. A path has at most one ticket.
/// 2. What is here is in the store before; what was taken out of the store is taken out here next.
/// 3. `done_bytes` is the sum of the done blocks' bytes.
/// 4. What finds no room stays in the store, and is loaded when half of its shard's are done.
/// Any thread of any attached process may call any function.
class TicketQueue {
 public:
  using Emit = std::function<void(const Ticket&)>;
  /// Calls `emit` for each of a shard's tickets in the store; those of other shards are passed
  /// over. Called with the shard locked.
  using Load = std::function<void(std::size_t shard, const Emit& emit)>;

  /// `segment` must outlive the queue.
  TicketQueue(Segment& segment, Load load);

  /// Puts tickets that the store has: as queued. One with a lower id than the path's ticket here
  /// is ignored, one with the same id only sets sources and, where the ticket here has none,
  /// hash and done blocks, one with a higher id replaces it, and begins queued with its own done.
  /// Errors: no memory for some of them; the others are in, and those are loaded when there is
  /// room.
  Status put(const std::vector<Ticket>& tickets);

  std::optional<TicketView> find(std::string_view path) const;

  /// Takes up to `most_tickets` queued tickets and makes them active, lowest id first. Ends before
  /// the sum of sizes exceeds `most_bytes`, but always takes the first. Waiting tickets whose time
  /// has come (retry_at_ms <= now_ms) are queued first. Deletions count as size 0.
  std::vector<TicketView> checkout(std::size_t most_tickets, std::uint64_t most_bytes,
                                   std::uint64_t now_ms);
  /// When the next waiting ticket's time comes, in monotonic_ms(); nothing if none has one.
  std::optional<std::uint64_t> next_retry() const;
  bool has_queued() const;
  /// Shards with tickets that found no room here: only the store has them all. Without a lock.
  std::size_t partial_shards() const;

  /// The next five do nothing, and return false where they return, if the path's ticket has not
  /// that id any more: a newer wish has taken its place.

  /// Sets blocks [first, first+count) done. Where memory for their bitmap is refused they are not
  /// remembered here.
  bool mark_done(std::string_view path, std::uint64_t id, std::uint64_t first, std::uint64_t count);
  /// Forgets all done blocks: the partial file is gone.
  bool forget_done(std::string_view path, std::uint64_t id);
  /// → waiting; attempts + 1. From any state, like fail() and give_back(): after a reload a ticket
  /// is queued again, though the downloader is at it.
  bool put_off(std::string_view path, std::uint64_t id, std::uint64_t retry_at_ms,
               const Reason& reason);
  bool fail(std::string_view path, std::uint64_t id, const Reason& reason);
  /// → queued, unchanged otherwise.
  bool give_back(std::string_view path, std::uint64_t id);
  /// Takes the ticket out (the store has dropped it before).
  bool remove(std::string_view path, std::uint64_t id);

  /// All active and failed → queued: the downloader is new.
  void requeue_all();
  /// Waiting tickets that the peer in `slot` is a source of → queued: it has come online.
  void requeue_sources(int slot);
  /// Takes the peer's bit out of all sources. What waits and has no source left is queued: the
  /// downloader gives it up.
  void drop_source(int slot, Offers offers);

  /// Copies all out, a shard at a time, by id.
  std::vector<TicketView> list() const;

  /// Read without a lock.
  struct Totals {
    std::uint64_t queued = 0;
    std::uint64_t active = 0;
    std::uint64_t waiting = 0;
    std::uint64_t failed = 0;
    std::uint64_t bytes = 0;  ///< sum of the sizes of all tickets
    std::uint64_t done_bytes = 0;
  };
  Totals totals() const;

 private:
  /// change(table, arena, node) for the path's ticket, if it still has that id.
  template <class Change>
  bool change(std::string_view path, std::uint64_t id, Change&& change);
  void queue_ripe(std::uint64_t now_ms);
  /// Shards that had no room for some, and have none left, are loaded by who looks next.
  void load_left_over();
  std::size_t first_shard() const;  ///< where the lowest queued id is; kShards: nowhere

  Segment& segment_;
  Load load_;
};

}  // namespace lefting::state

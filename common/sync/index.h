#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/state/dictionary.h"
#include "common/state/fault_point.h"
#include "common/state/role_board.h"
#include "common/state/tickets.h"
#include "common/store/store.h"

namespace lefting::sync {

/// A record to write, and the sequence of the one it was made from (0: there was none).
struct Change {
  Record record;
  std::uint64_t base = 0;
  std::uint64_t ticket = 0;  ///< the path's ticket that ends with this change; 0: none
};

/// A ticket that ends without a record.
struct TicketRef {
  std::string path;
  std::uint64_t id = 0;
  bool unwanted = false;  ///< it ends only if it has no source, or was only announced
  std::string ignored_by =
      {};  ///< digest of rules; it ends only if all that is recorded is by those
};

/// Store and segment as one: writes go into the store first, then into the segment.
///
/// Any thread may call any function; writers of one program take turns, so that `inflight` has
/// one meaning. Throws StoreError.
class Index {
 public:
  /// All must outlive the index. `inflight` belongs to this program alone.
  Index(store::Store& store, state::Dictionary& dictionary, state::TicketQueue& tickets,
        state::Inflight& inflight);

  /// Applies to the segment what a predecessor with the same `inflight` had only committed. True:
  /// there was something. Tickets that ended with it may still be there: they are decided anew.
  bool replay();

  /// Writes records and drops the tickets that end with them, and those that end without one
  /// (`finished`): in one transaction, then in the segment. Records get their sequences. A change
  /// whose base is no longer the path's record is left out, and its ticket stays.
  ///
  /// What finds no room in the segment is right in the store, which is asked for it then.
  ///
  /// Returns   for each change, whether it was written.
  std::vector<bool> commit(std::vector<Change>& changes, std::vector<TicketRef> finished = {});

  enum class Peers {
    stay,       ///< what they have shown is not missed, or not yet
    show_anew,  ///< their lists are to be taken anew
  };
  /// Forgets the records of these paths, as if there never had been any.
  void forget(const std::vector<std::string>& paths, Peers peers);

  /// Leaves of the tombstones that all peers have stored only traces, which are told to nobody: for
  /// a peer that may still have the file they are revived (judge_offer()). For one thread. Returns
  /// how many.
  std::size_t fade_tombstones();

  /// Runs `write` in a transaction and puts the tickets that it returns into the segment.
  template <class Write>
  void write_tickets(Write&& write) {
    const std::lock_guard turn{turn_};
    apply_stored();
    store::Transaction transaction{store_};
    inflight_.ticket.store(transaction.next_ticket());
    const std::vector<Ticket> tickets = write(transaction);
    for (const Ticket& ticket : tickets) {  // older ones too, where only sources were added
      inflight_.ticket.store(std::min(inflight_.ticket.load(), ticket.id));
    }
    pass(state::FaultPoint::tickets_inflight);
    transaction.commit();
    apply_tickets(tickets);
  }

  store::Store& store() { return store_; }
  const state::Dictionary& dictionary() const { return dictionary_; }
  state::TicketQueue& tickets() { return tickets_; }

 private:
  /// What was committed by a predecessor, or by a thread that failed then, is applied before the
  /// words in `inflight` stand for something else.
  bool apply_stored();
  /// No program has committed something up to there that it has not applied.
  std::uint64_t applied_by_all();
  void replay_records(std::uint64_t after);
  void replay_tickets(std::uint64_t after);
  void apply_tickets(const std::vector<Ticket>& tickets);
  /// Says once that the segment is full.
  template <class Outcome>
  void note_room(const Outcome& applied);
  void pass(state::FaultPoint point);

  store::Store& store_;
  state::Dictionary& dictionary_;
  state::TicketQueue& tickets_;
  state::Inflight& inflight_;
  std::mutex turn_;
  std::uint64_t faded_ = 0;  ///< fade_tombstones() has looked at all up to there
  std::atomic<bool> said_full_{false};
};

}  // namespace lefting::sync

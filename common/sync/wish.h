#pragma once

#include <vector>

#include "common/base/entry.h"

namespace lefting::sync {

/// What an entry in a peer's list asks for.
enum class Offer {
  nothing,
  wish,    ///< a ticket
  revive,  ///< ours is the trace of a tombstone: it is to be recorded, and so told, again
};
/// `ours`  null: the path is unknown. No I/O; `self` and `now_ms` as in decide().
Offer judge_offer(const Record* ours, const Entry& theirs, ShortId self, std::uint64_t now_ms);

/// What tickets before this one wanted of its path, oldest first. `ticket` as stored.
std::vector<Entry> earlier_wishes(const Ticket& ticket);

/// What became of a wish that met the path's ticket.
enum class Joined {
  replaces,  ///< it is a new ticket in the old one's place
  adds,      ///< the ticket stands for it, and has another source now, or its hash
  known,     ///< the ticket stands for it already
  refused,   ///< the ticket stands for something that wins over it
};

/// Joins a wish of a peer with the ticket that its path has. No I/O.
///
/// `ticket`  the wish, with its one source; afterwards what the path's ticket is to be (with
///           Joined::replaces it has no id yet). Unchanged where refused.
Joined join_wish(const Ticket& old, Ticket& ticket);

}  // namespace lefting::sync

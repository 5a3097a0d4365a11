#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/entry.h"
#include "common/base/reason.h"
#include "common/share/share.h"
#include "common/sync/observe.h"

namespace lefting::sync {

/// What stands at a path in the share.
enum class Standing {
  nothing,
  recorded,  ///< the file that the record was made of, untouched since
  other,     ///< a file that is not as it was recorded, or not recorded
  folder,
  special,  ///< a symlink, device, socket or FIFO
  unknown,  ///< it can't be looked at
};

/// A path, here and now.
struct Here {
  const Record* record = nullptr;  ///< null: the path is unknown
  Standing standing = Standing::nothing;
  // Of Standing::other:
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::uint32_t mode = 0;
  std::optional<ContentHashes> hashes;  ///< once Step::hash has asked for them

  void set_file(const share::FileStat& stat);
};

/// What is to be done about a ticket.
enum class Step {
  drop,       ///< nothing: it ends
  record,     ///< the share stays as it is, `result` is recorded
  restamp,    ///< the file gets the mode and mtime of `result`
  hash,       ///< it depends on the content of what stands there: plan again with its hashes
  remove,     ///< the file is removed
  set_aside,  ///< the file gets the name of a conflict's loser
  fetch,      ///< the content is fetched and takes the place of what stands there
  wait,       ///< for somebody else: `reason`
};

struct Plan {
  Step step = Step::drop;
  Entry result;          ///< what is recorded in the end; not of drop, hash, wait
  bool keeps = false;    ///< fetch: what is recorded here gets the name of a conflict's loser
  bool again = false;    ///< `result` is an earlier wish: the ticket is planned anew after it
  HashKinds kinds = {};  ///< of hash: all that may say something
  Reason reason;         ///< of wait
};

/// Plans what a ticket means for the share, by what was recorded, what stands there, and what a
/// peer offers. No I/O.
///
/// `former`          asked for what earlier tickets wanted, oldest first, only where that matters:
///                   a downloader may have died when it had carried one out and not recorded it.
/// `self`, `now_ms`  as in decide().
Plan plan_ticket(const Entry& wanted, const std::function<std::vector<Entry>()>& former,
                 const Here& here, ShortId self, std::uint64_t now_ms);

/// By which kinds of hash what stands there may prove to be what is_placed() looks for; none: it
/// can't be. `here` without hashes.
HashKinds kinds_of_placed(const Ticket& ticket, const Here& here, ShortId self,
                          std::uint64_t now_ms);

/// True if the downloader, when it comes to `ticket` (as stored), will record what stands at its
/// path and is not recorded: it has put it there, for this ticket or an earlier one. `here` with
/// the file's hashes of those kinds.
bool is_placed(const Ticket& ticket, const Here& here, ShortId self, std::uint64_t now_ms);

/// While the wanted content was put where nothing stood, something else was recorded of the path.
/// True if that wins: then what was put in place goes again, before it is taken for an edit.
bool is_overtaken(const Entry& wanted, const Record& now, ShortId self, std::uint64_t now_ms);

/// Plans what becomes of a recorded file that stands where a folder of a wanted file must be: the
/// folder wins, and the file is kept as the loser of a conflict is. What is planned is a change of
/// the file's path; the ticket is planned anew after it.
///
/// `has_ticket`  the path of the file in the way has one: then that comes first.
Plan plan_way(const Here& in_the_way, bool has_ticket, const Finder& finder);

}  // namespace lefting::sync

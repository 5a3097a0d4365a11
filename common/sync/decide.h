#pragma once

#include <cstdint>
#include <optional>

#include "common/base/entry.h"

namespace lefting::sync {

/// What an entry of a peer means for the record that is here.
enum class Verdict {
  same,        ///< the same version: nothing to do
  ours_newer,  ///< the peer will take ours, or ours wins the conflict: nothing to do
  take,        ///< theirs takes the place of ours, or of nothing
  merge,       ///< the same content: only metadata and vector of the result
  lose,        ///< conflict, theirs takes the name; ours, where it is content, is kept beside it
};

struct Decision {
  Verdict verdict = Verdict::same;
  Entry result;  ///< what will be recorded; only for take, merge, lose
};

/// Decides what `theirs` means, given `ours` (null: the path is unknown here). No I/O.
///
/// `self`, `now_ms`  the taker's writer, and when: what comes without a version gets one of it.
/// Source            docs/PROTOCOL.md, "Which one is newer" and "Conflicts".
Decision decide(const Entry* ours, const Entry& theirs, ShortId self, std::uint64_t now_ms);

/// True if `candidate` should take the place of `wish` as what is wanted of a path: it is newer,
/// or wins the conflict. Both are entries of peers.
bool supersedes(const Entry& candidate, const Entry& wish);

/// True if a source that has lost what it offered answers so: `now` is what it has instead, nothing
/// where it has nothing. False where `wanted` is outdated, or the source doesn't know yet.
bool has_lost(const Entry& wanted, const std::optional<Entry>& now);

}  // namespace lefting::sync

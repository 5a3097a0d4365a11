#include "common/sync/decide.h"

#include "common/sync/version.h"

namespace lefting::sync {

namespace {

bool same_content(const Entry& a, const Entry& b) {
  if (a.deleted || b.deleted) return a.deleted && b.deleted;
  return a.hash && b.hash && *a.hash == *b.hash;
}

Decision taken(Verdict verdict, const Entry& from, VersionVector version) {
  Decision decision{verdict, from};
  decision.result.version = std::move(version);
  return decision;
}

/// Where one side has no version: times decide.
Decision decide_by_time(const Entry& ours, const Entry& theirs, ShortId self,
                        std::uint64_t now_ms) {
  const bool alike = !ours.deleted && !theirs.deleted && ours.size == theirs.size &&
                     ours.mtime_ns == theirs.mtime_ns;
  if (alike || same_content(ours, theirs)) return {};
  if (theirs.mtime_ns < ours.mtime_ns) return {Verdict::ours_newer, {}};
  const VersionVector next = bump(
      theirs.version.empty() ? ours.version : merge(ours.version, theirs.version), self, now_ms);
  if (theirs.mtime_ns > ours.mtime_ns) return taken(Verdict::take, theirs, next);
  if (theirs.size > ours.size) return taken(Verdict::lose, theirs, next);
  return {Verdict::ours_newer, {}};
}

/// Whether `a` takes the name from `b`. The stamp names the change that made the content, and grows
/// with each that is made on top of another, so it decides alike everywhere.
bool wins(const Entry& a, const Entry& b) {
  const Stamp of_a = stamp(a.version);
  const Stamp of_b = stamp(b.version);
  if (of_a != of_b) return of_a > of_b;
  // One device never makes one counter twice; should it have, every peer still decides alike.
  return a.hash.value_or(ContentHash{}) > b.hash.value_or(ContentHash{});
}

Decision decide_by_version(const Entry& ours, const Entry& theirs) {
  if (ours.version == theirs.version) return {};
  const VersionVector merged = merge(ours.version, theirs.version);
  const bool taken_over = wins(theirs, ours);
  if (same_content(ours, theirs)) {
    if (merged == ours.version) return {Verdict::ours_newer, {}};
    return taken(Verdict::merge, taken_over ? theirs : ours, merged);
  }
  // Who has the winner leaves its vector alone. Would it merge theirs, its entry would look like
  // one made by somebody who knew what the other side has, and be taken there without keeping that.
  if (!taken_over) return {Verdict::ours_newer, {}};
  const Stamp of_ours = stamp(ours.version);
  const bool knew_ours = covers(theirs.version, of_ours) && stamp(theirs.version) != of_ours;
  return taken(knew_ours ? Verdict::take : Verdict::lose, theirs, merged);
}

}  // namespace

Decision decide(const Entry* ours, const Entry& theirs, ShortId self, std::uint64_t now_ms) {
  if (ours == nullptr) {
    if (!theirs.version.empty()) return {Verdict::take, theirs};
    if (theirs.deleted) return {};  // nothing here, and nobody's version to remember
    return taken(Verdict::take, theirs, bump({}, self, now_ms));
  }
  if (ours->version.empty() || theirs.version.empty()) {
    return decide_by_time(*ours, theirs, self, now_ms);
  }
  return decide_by_version(*ours, theirs);
}

bool supersedes(const Entry& candidate, const Entry& wish) {
  if (candidate.version.empty() || wish.version.empty()) {
    if (candidate.mtime_ns != wish.mtime_ns) return candidate.mtime_ns > wish.mtime_ns;
    return candidate.size > wish.size;
  }
  if (wins(candidate, wish) || wins(wish, candidate)) return wins(candidate, wish);
  // The same content: then the one that knows more.
  return compare(candidate.version, wish.version) == Order::newer;
}

bool has_lost(const Entry& wanted, const std::optional<Entry>& now) {
  if (!now) return true;
  if (now->version.empty() || wanted.version.empty()) return false;
  return !covers(now->version, stamp(wanted.version));
}

}  // namespace lefting::sync

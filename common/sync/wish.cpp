#include "common/sync/wish.h"

#include <utility>
#include <vector>

#include "common/sync/decide.h"
#include "common/sync/version.h"

namespace lefting::sync {

namespace {

bool is_same_wish(const Ticket& old, const Ticket& wish) {
  const Entry& a = old.wanted;
  const Entry& b = wish.wanted;
  const bool is_alike = a.size == b.size && a.mtime_ns == b.mtime_ns && a.deleted == b.deleted;
  if (a.version.empty() || b.version.empty()) return is_alike;
  // What was announced may have changed before it was recorded, under the same version.
  const bool is_sure = !old.announced && !wish.announced;
  return compare(a.version, b.version) == Order::equal && (is_sure || is_alike);
}

/// What is only announced may never come to be, so nothing is given up for it, and it is given up
/// for what is sure: if it comes to be it is told once more.
bool is_replaced(const Ticket& old, const Ticket& wish) {
  if (old.announced != wish.announced) return old.announced;
  // A wish that nobody can fulfil any more stands in nobody's way.
  return old.sources == 0 || supersedes(wish.wanted, old.wanted);
}

/// What a ticket in the place of `old` must know of it.
std::vector<Entry> former_wishes(const Ticket& old) {
  std::vector<Entry> former = old.former;
  if (old.wanted.hash || old.wanted.deleted) {
    former.push_back(old.wanted);
    former.back().path.clear();
  }
  // The oldest may have been begun before the downloader died, the newest after it.
  if (former.size() > kMostFormer) former.erase(former.begin() + kMostFormer / 2);
  return former;
}

}  // namespace

Offer judge_offer(const Record* ours, const Entry& theirs, ShortId self, std::uint64_t now_ms) {
  const bool is_trace = ours != nullptr && ours->is_trace();
  switch (decide(ours == nullptr ? nullptr : &ours->entry, theirs, self, now_ms).verdict) {
    case Verdict::same:
    case Verdict::ours_newer:
      return is_trace && !theirs.deleted ? Offer::revive : Offer::nothing;
    case Verdict::merge: {
      // The tombstone that the trace is of, or an older one.
      const bool is_known = is_trace && stamp(theirs.version) <= stamp(ours->entry.version);
      return is_known ? Offer::nothing : Offer::wish;
    }
    case Verdict::take:
    case Verdict::lose:
      return Offer::wish;
  }
  return Offer::wish;
}

std::vector<Entry> earlier_wishes(const Ticket& ticket) {
  std::vector<Entry> wishes = ticket.former;
  for (Entry& wish : wishes) wish.path = ticket.wanted.path;
  return wishes;
}

Joined join_wish(const Ticket& old, Ticket& ticket) {
  if (is_same_wish(old, ticket)) {
    // What was announced before it was hashed may have its hash by now.
    const bool has_version = !old.wanted.version.empty() && !ticket.wanted.version.empty();
    const auto hash = old.wanted.hash || !has_version ? old.wanted.hash : ticket.wanted.hash;
    const std::uint64_t sources = old.sources | ticket.sources;
    const bool announced = old.announced && ticket.announced;
    ticket = old;
    ticket.sources = sources;
    ticket.announced = announced;
    ticket.wanted.hash = hash;
    return ticket == old ? Joined::known : Joined::adds;
  }
  if (!is_replaced(old, ticket)) return Joined::refused;
  ticket.former = former_wishes(old);
  // The same content under a newer version: its sources and blocks are as good as before.
  if (old.wanted.hash && old.wanted.hash == ticket.wanted.hash) {
    ticket.done = old.done;
    ticket.sources |= old.sources;
  }
  return Joined::replaces;
}

}  // namespace lefting::sync

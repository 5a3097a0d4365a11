#include "common/sync/intake.h"

#include <string>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/sync/decide.h"
#include "common/sync/peer_facts.h"
#include "common/sync/version.h"
#include "common/wire/entry_list.h"

namespace lefting::sync {

namespace {

/// A write transaction holds up every other program's, so it is kept short.
constexpr std::size_t kWishesATransaction = 1000;

bool same_version(const Entry& a, const Entry& b) {
  if (a.version.empty() || b.version.empty()) {
    return a.size == b.size && a.mtime_ns == b.mtime_ns && a.deleted == b.deleted;
  }
  return compare(a.version, b.version) == Order::equal;
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

enum class Put {
  changed,  ///< a new ticket, or a new source of one
  known,    ///< the path's ticket stands for it already
  refused,  ///< the path's ticket stands for something newer
};

/// Writes one wish; `ticket` becomes what the store has, unless refused.
Put put_wish(store::Transaction& transaction, Ticket& ticket) {
  if (transaction.add_ticket(ticket)) return Put::changed;
  auto old = transaction.find_ticket(ticket.wanted.path);
  if (!old) return Put::refused;
  if (same_version(old->wanted, ticket.wanted)) {
    const std::uint64_t sources = old->sources | ticket.sources;
    const bool known = sources == old->sources;
    ticket = *old;
    ticket.sources = sources;
    if (known) return Put::known;
    transaction.set_ticket_sources(ticket.wanted.path, ticket.id, sources);
    return Put::changed;
  }
  // A wish that nobody can fulfil any more stands in nobody's way.
  if (old->sources != 0 && !supersedes(ticket.wanted, old->wanted)) return Put::refused;
  ticket.former = former_wishes(*old);
  // The same content under a newer version: its sources and blocks are as good as before.
  if (old->wanted.hash && old->wanted.hash == ticket.wanted.hash) {
    ticket.done = old->done;
    ticket.sources |= old->sources;
  }
  transaction.put_ticket(ticket);
  return Put::changed;
}

/// A device whose clock is so far ahead is broken, and a counter at the end of its range could
/// never be bumped again.
constexpr std::uint64_t kFarAheadMs = std::uint64_t{366} * 24 * 3600 * 1000;

bool is_far_ahead(const Entry& entry, std::uint64_t now_ms) {
  return stamp(entry.version).counter > now_ms + kFarAheadMs;
}

}  // namespace

Intake::Intake(Index& index, state::PeerList& peers, ShortId self)
    : index_{index}, peers_{peers}, self_{self} {}

Result<Taken> Intake::take(int slot, const wire::Greeting& greeting,
                           std::span<const std::byte> data) {
  std::string raw;
  std::string_view page{reinterpret_cast<const char*>(data.data()), data.size()};
  if (greeting.encoding == wire::Encoding::zstd) {
    auto unpacked = wire::decompress(data, greeting.raw_size);
    if (!unpacked) return unpacked.error();
    raw = unpacked.take();
    page = raw;
  }

  Taken taken;
  std::vector<Entry> wanted;
  const std::uint64_t now = wall_ms();
  const auto take_entry = [&](Entry&& entry) {
    ++taken.entries;
    if (is_far_ahead(entry, now)) {
      if (taken.rejected.size() < wire::kMaxRejected) {
        taken.rejected.push_back({printable(entry.path), "its version is over a year ahead"});
      }
      return;
    }
    const auto ours = index_.dictionary().find(entry.path);
    const auto verdict = decide(ours ? &ours->entry : nullptr, entry, self_, now).verdict;
    if (verdict == Verdict::same || verdict == Verdict::ours_newer) return;
    wanted.push_back(std::move(entry));
    if (wanted.size() >= kWishesATransaction) want(slot, wanted, taken);
  };
  const Status read =
      page.empty() ? Status{} : wire::decode_entry_list(page, take_entry, taken.rejected);
  if (!wanted.empty()) want(slot, wanted, taken);
  if (!read) return read.error();
  update_peer(index_.store(), peers_, slot, [&](Peer& peer) {
    if (greeting.index) take_range(peer, *greeting.index);
    taken.seen = peer.seen;
  });
  return taken;
}

void Intake::want(int slot, std::vector<Entry>& wanted, Taken& taken) {
  index_.write_tickets([&](store::Transaction& transaction) {
    std::vector<Ticket> tickets;
    for (Entry& entry : wanted) {
      Ticket ticket;
      ticket.wanted = std::move(entry);
      ticket.sources = std::uint64_t{1} << slot;
      const Put put = put_wish(transaction, ticket);
      // A known one too: whoever stored it may have died before it was in the segment.
      if (put != Put::refused) tickets.push_back(std::move(ticket));
      if (put == Put::changed) ++taken.wishes;
    }
    return tickets;
  });
  wanted.clear();
}

}  // namespace lefting::sync

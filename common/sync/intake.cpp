#include "common/sync/intake.h"

#include <algorithm>
#include <string>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/sync/announcement.h"
#include "common/sync/peer_facts.h"
#include "common/sync/version.h"
#include "common/sync/wish.h"
#include "common/wire/entry_list.h"

namespace lefting::sync {

namespace {

/// A write transaction holds up every other program's, so it is kept short.
constexpr std::size_t kWishesATransaction = 1000;

/// Writes one wish; `ticket` becomes what the store has, unless refused.
Joined put_wish(store::Transaction& transaction, Ticket& ticket) {
  if (transaction.add_ticket(ticket)) return Joined::replaces;
  const auto old = transaction.find_ticket(ticket.wanted.path);
  if (!old) return Joined::refused;
  const Joined joined = join_wish(*old, ticket);
  if (joined == Joined::replaces) transaction.put_ticket(ticket);
  if (joined == Joined::adds) transaction.set_ticket_offer(ticket);
  return joined;
}

/// A counter at the end of its range could never be bumped again.
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
  if (greeting.index) taken.forgot = meet_index(slot, greeting.index->id);
  std::vector<Ticket> wishes;
  std::vector<Change> revived;
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
    const Offer offer = judge_offer(ours ? &*ours : nullptr, entry, self_, now);
    if (offer == Offer::revive) revived.push_back({.record = *ours});
    if (revived.size() >= kWishesATransaction) revive(revived, taken);
    if (offer != Offer::wish) return;
    Ticket& wish = wishes.emplace_back();
    wish.sources = std::uint64_t{1} << slot;
    wish.announced = !greeting.index && is_announcement(entry);
    wish.wanted = std::move(entry);
    if (wishes.size() >= kWishesATransaction) want(wishes, taken);
  };
  const Status read =
      page.empty() ? Status{} : wire::decode_entry_list(page, take_entry, taken.rejected);
  if (!wishes.empty()) want(wishes, taken);
  if (!revived.empty()) revive(revived, taken);
  if (!read) return read.error();
  update_peer(index_.store(), peers_, slot, [&](Peer& peer) {
    if (greeting.index) take_range(peer, *greeting.index);
    taken.seen = peer.seen;
  });
  return taken;
}

/// True: all peers are to be asked anew.
bool Intake::meet_index(int slot, IndexId index) {
  const auto known = peers_.get(slot);
  if (!known || known->peer.index == 0 || known->peer.index == index) return false;
  log_info("peer {} has another index; what the old one offered is forgotten", slot);
  return forget_offers(index_, peers_, slot, [&](Peer& peer) {
    peer.index = index;
    peer.most_seen = 0;
  });
}

/// Tombstones that the peer seems not to know, though it had them once, or was not here then.
void Intake::revive(std::vector<Change>& tombstones, Taken& taken) {
  const std::vector<bool> written = index_.commit(tombstones);
  taken.revived += static_cast<std::size_t>(std::ranges::count(written, true));
  tombstones.clear();
}

void Intake::want(std::vector<Ticket>& wishes, Taken& taken) {
  index_.write_tickets([&](store::Transaction& transaction) {
    std::vector<Ticket> tickets;
    for (Ticket& wish : wishes) {
      const Joined joined = put_wish(transaction, wish);
      if (joined == Joined::replaces || joined == Joined::adds) ++taken.wishes;
      if (joined == Joined::known) ++taken.retold;
      // A known one too: whoever stored it may have died before it was in the segment.
      if (joined != Joined::refused) tickets.push_back(std::move(wish));
    }
    return tickets;
  });
  wishes.clear();
}

}  // namespace lefting::sync

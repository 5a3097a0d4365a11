#include "common/state/peers.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "common/base/assert.h"
#include "common/state/cut_text.h"
#include "common/state/guard.h"
#include "common/state/layout.h"

namespace lefting::state {

namespace {

constexpr std::uint64_t bit_of(int slot) { return std::uint64_t{1} << slot; }

void set_bit(std::atomic<std::uint64_t>& mask, int slot, bool on) {
  const std::uint64_t before = mask.load(std::memory_order_relaxed);
  mask.store(on ? before | bit_of(slot) : before & ~bit_of(slot), std::memory_order_release);
}

bool has_bit(const std::atomic<std::uint64_t>& mask, int slot) {
  return (mask.load(std::memory_order_acquire) & bit_of(slot)) != 0;
}

template <std::size_t Room>
void set_text(FixedText<Room>& text, std::string_view value) {
  const std::string_view cut = cut_text(value, Room);
  std::copy(cut.begin(), cut.end(), text.bytes.begin());
  text.size = static_cast<std::uint16_t>(cut.size());
}

template <std::size_t Room>
std::string_view view(const FixedText<Room>& text) {
  return {text.bytes.data(), std::min<std::size_t>(text.size, Room)};
}

/// The peer list, locked and whole.
class PeersLock {
 public:
  /// Throws what `load` throws, std::system_error (lock).
  PeersLock(Segment& segment, const PeerList::Load& load)
      : layout_{segment.layout()}, lock_{control_.guard, [&] { reload(load); }} {
    fault_point(layout_, FaultPoint::peers_locked);
  }

  bool used(int slot) const { return has_bit(control_.used, slot); }

  PeerState state(int slot) const {
    if (has_bit(control_.online, slot)) return PeerState::online;
    return has_bit(control_.refused, slot) ? PeerState::refused : PeerState::offline;
  }

  PeerView get(int slot) const {
    const PeerSlot& from = control_.slots[static_cast<std::size_t>(slot)];
    PeerView out;
    out.peer.slot = slot;
    if (from.has_device) out.peer.device = from.device;
    out.peer.name = view(from.name);
    out.peer.address = view(from.address);
    out.peer.learned = from.learned;
    out.peer.zstd = from.zstd;
    out.peer.index = from.index;
    out.peer.seen = from.seen;
    out.peer.told = from.told;
    out.peer.most_seen = from.most_seen;
    out.peer.most_told = from.most_told;
    out.state = state(slot);
    out.reason = view(from.reason);
    return out;
  }

  void put(const Peer& peer) {
    const WriteSection section{control_.guard};
    fault_point(layout_, FaultPoint::peers_begun);
    write(peer);
    control_.changes.fetch_add(1);
    fault_point(layout_, FaultPoint::peers_ended);
  }

  void remove(int slot) {
    const WriteSection section{control_.guard};
    clear(slot);
    control_.changes.fetch_add(1);
  }

  bool set_state(int slot, PeerState to, std::string_view reason) {
    const bool other = state(slot) != to;
    const WriteSection section{control_.guard};
    set_text(control_.slots[static_cast<std::size_t>(slot)].reason, reason);
    if (other) {
      write_state(slot, to);
      control_.changes.fetch_add(1);
    }
    return other;
  }

 private:
  void write_state(int slot, PeerState state) {
    set_bit(control_.online, slot, state == PeerState::online);
    fault_point(layout_, FaultPoint::peers_torn);
    set_bit(control_.refused, slot, state == PeerState::refused);
  }

  /// A slot may have been given to another peer unnoticed: it then begins offline. A peer whose
  /// device becomes known is the same one.
  bool is_in_slot(const Peer& peer) const {
    const PeerSlot& slot = control_.slots[static_cast<std::size_t>(peer.slot)];
    if (!used(peer.slot)) return false;
    if (slot.has_device) return peer.device == slot.device;
    return view(slot.address) == cut_text(peer.address, slot.address.bytes.size());
  }

  void write(const Peer& peer) {
    PeerSlot& to = control_.slots[static_cast<std::size_t>(peer.slot)];
    const bool known = is_in_slot(peer);
    // Written even if known: who died between two masks may have left both set.
    write_state(peer.slot, known ? state(peer.slot) : PeerState::offline);
    if (!known) set_text(to.reason, {});
    to.has_device = peer.device.has_value();
    to.device = peer.device.value_or(DeviceId{});
    set_text(to.name, peer.name);
    set_text(to.address, peer.address);
    to.learned = peer.learned;
    to.zstd = peer.zstd;
    to.index = peer.index;
    to.seen = peer.seen;
    to.told = peer.told;
    to.most_seen = peer.most_seen;
    to.most_told = peer.most_told;
    set_bit(control_.used, peer.slot, true);
  }

  void clear(int slot) {
    write_state(slot, PeerState::offline);
    set_bit(control_.used, slot, false);
    control_.slots[static_cast<std::size_t>(slot)] = PeerSlot{};
  }

  /// States and reasons are not in the store: those of peers that are still here stay.
  void reload(const PeerList::Load& load) {
    std::uint64_t loaded = 0;
    load([&](const Peer& peer) {
      if (peer.slot < 0 || peer.slot >= kMaxPeers) return;
      fault_point(layout_, FaultPoint::peers_reloading);
      write(peer);
      loaded |= bit_of(peer.slot);
    });
    for (int slot = 0; slot < kMaxPeers; ++slot) {
      if ((loaded & bit_of(slot)) == 0) clear(slot);
    }
    control_.changes.fetch_add(1);
  }

  Layout& layout_;
  PeerControl& control_ = layout_.peers;
  GuardLock lock_;
};

}  // namespace

const char* to_text(PeerState state) {
  switch (state) {
    case PeerState::offline:
      return "offline";
    case PeerState::online:
      return "online";
    case PeerState::refused:
      return "refused";
  }
  return "unknown";
}

PeerList::PeerList(Segment& segment, Load load) : segment_{segment}, load_{std::move(load)} {}

std::vector<PeerView> PeerList::list() const {
  std::vector<PeerView> out;
  const PeersLock lock{segment_, load_};
  for (int slot = 0; slot < kMaxPeers; ++slot) {
    if (lock.used(slot)) out.push_back(lock.get(slot));
  }
  return out;
}

std::optional<PeerView> PeerList::get(int slot) const {
  if (slot < 0 || slot >= kMaxPeers) return std::nullopt;
  const PeersLock lock{segment_, load_};
  if (!lock.used(slot)) return std::nullopt;
  return lock.get(slot);
}

std::optional<PeerView> PeerList::find(const DeviceId& device) const {
  for (PeerView& peer : list()) {
    if (peer.peer.device == device) return std::move(peer);
  }
  return std::nullopt;
}

void PeerList::put(const Peer& peer) {
  LEFTING_ASSERT(peer.slot >= 0 && peer.slot < kMaxPeers);
  PeersLock{segment_, load_}.put(peer);
}

void PeerList::remove(int slot) {
  LEFTING_ASSERT(slot >= 0 && slot < kMaxPeers);
  PeersLock{segment_, load_}.remove(slot);
}

bool PeerList::set_state(int slot, PeerState state, std::string_view reason) {
  LEFTING_ASSERT(slot >= 0 && slot < kMaxPeers);
  PeersLock lock{segment_, load_};
  return lock.used(slot) && lock.set_state(slot, state, reason);
}

std::uint64_t PeerList::used_mask() const { return segment_.layout().peers.used.load(); }

std::uint64_t PeerList::online_mask() const { return segment_.layout().peers.online.load(); }

std::uint64_t PeerList::refused_mask() const { return segment_.layout().peers.refused.load(); }

std::uint64_t PeerList::changes() const { return segment_.layout().peers.changes.load(); }

void PeerList::pass(FaultPoint point) const { fault_point(segment_.layout(), point); }

void PeerList::ask_anew() {
  segment_.layout().peers.guard.stale.store(1);
  PeersLock lock{segment_, load_};
  for (int slot = 0; slot < kMaxPeers; ++slot) {
    if (!lock.used(slot) || lock.state(slot) != PeerState::online) continue;
    lock.set_state(slot, PeerState::offline, "it is asked anew what it has");
  }
}

}  // namespace lefting::state

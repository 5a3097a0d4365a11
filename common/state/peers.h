#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/state/fault_point.h"
#include "common/state/segment.h"

namespace lefting::state {

enum class PeerState : std::uint32_t { offline, online, refused };
const char* to_text(PeerState state);

struct PeerView {
  Peer peer;
  PeerState state = PeerState::offline;
  std::string reason;  ///< why it is offline or refused; at most 200 bytes
};

/// The peers in the segment: kMaxPeers slots, one lock; what the supervisor must see is lock-free.
class PeerList {
 public:
  using Emit = std::function<void(const Peer&)>;
  using Load = std::function<void(const Emit& emit)>;

  /// `segment` must outlive the list.
  PeerList(Segment& segment, Load load);

  std::vector<PeerView> list() const;
  std::optional<PeerView> get(int slot) const;
  std::optional<PeerView> find(const DeviceId& device) const;

  /// Puts what the store has of a peer into its slot; state and reason stay, a new one is offline.
  /// Text beyond the slot's room (name 64 bytes, address 300) is cut.
  void put(const Peer& peer);
  void remove(int slot);
  /// Sets the state and why. True if the state was another before.
  bool set_state(int slot, PeerState state, std::string_view reason = {});

  /// The rest is lock-free. Bit S: slot S.
  std::uint64_t used_mask() const;
  std::uint64_t online_mask() const;
  std::uint64_t refused_mask() const;
  /// Changed by each put, remove and change of state: tells those that wait that there is news.
  std::uint64_t changes() const;
  /// For tests: may kill this program.
  void pass(FaultPoint point) const;
  /// Loads the list again and takes those that are online for offline, so that the supervisor, once
  /// it is woken, has hello said to them.
  void ask_anew();

 private:
  Segment& segment_;
  Load load_;
};

}  // namespace lefting::state

#include "common/state/role_board.h"

#include "common/base/assert.h"
#include "common/state/layout.h"

namespace lefting::state {

const char* to_text(RoleState state) {
  switch (state) {
    case RoleState::stopped:
      return "stopped";
    case RoleState::starting:
      return "starting";
    case RoleState::ready:
      return "ready";
    case RoleState::backoff:
      return "backoff";
    case RoleState::failed:
      return "failed";
  }
  return "unknown";
}

RoleSlot& role_slot(Segment& segment, Role role) {
  return segment.layout().roles.at(static_cast<std::size_t>(role));
}

Inflight& role_inflight(Segment& segment, Role role) {
  return segment.layout().role_inflight.at(static_cast<std::size_t>(role));
}

Inflight& hello_inflight(Segment& segment, int slot) {
  LEFTING_ASSERT(slot >= 0 && slot < kMaxPeers);
  return segment.layout().hello_inflight[static_cast<std::size_t>(slot)];
}

ScanWords& scan_words(Segment& segment) { return segment.layout().scan; }

TrafficWords& traffic_words(Segment& segment) { return segment.layout().traffic; }

}  // namespace lefting::state

#include "common/state/fault_point.h"

#ifdef LEFTING_FAULT_POINTS

#include <unistd.h>

#include <csignal>

#include "common/state/layout.h"

namespace lefting::state {

void fault_point(Layout& layout, FaultPoint point) {
  FaultWords& words = layout.fault;
  if (words.armed.load(std::memory_order_relaxed) != point) return;
  if (words.passes_left.fetch_sub(1) != 1) return;
  words.victim.store(::getpid());
  words.armed.store(FaultPoint::none);
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

}  // namespace lefting::state

#endif

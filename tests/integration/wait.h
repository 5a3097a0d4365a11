#pragma once

#include <chrono>
#include <string>

#include "common/base/clock.h"
#include "common/base/os.h"

namespace lefting::test {

using Seconds = std::chrono::seconds;

/// Looks at `holds` until it does or the deadline passes. For facts that have no event to wait for
/// from outside: the state of other processes.
template <class Holds>
bool eventually(Holds&& holds, std::chrono::milliseconds limit = Seconds{20}) {
  const Deadline deadline = deadline_in(limit);
  for (;;) {
    if (holds()) return true;
    if (poll_timeout(deadline) == 0) return false;
    poll_fds({}, 5);
  }
}

}  // namespace lefting::test

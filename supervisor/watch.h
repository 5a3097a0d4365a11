#pragma once

#include "common/base/settings.h"

namespace lefting::supervisor {

/// `dumpstate --watch`: redraws the state every second until the process is killed.
/// Returns an exit code only where the output can't be written any more.
int watch_state(const InstancePaths& paths, const std::string& glob);

}  // namespace lefting::supervisor

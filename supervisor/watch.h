#pragma once

#include <string>

#include "common/base/settings.h"

namespace lefting::supervisor {

/// `dumpstate --watch`: draws the state every second, through stops and starts of the instance,
/// until SIGINT, SIGTERM, SIGHUP or SIGQUIT; Ctrl-Z gives the terminal back for a while.
/// Returns kToolDone then, kToolFailed where the output can't be written any more.
int watch_state(const InstancePaths& paths, const std::string& glob);

}  // namespace lefting::supervisor

#pragma once

#include "common/base/settings.h"

namespace lefting::supervisor {

/// `supervisor start`: makes the instance and its supervisor, which lives on in a process of its
/// own unless `foreground`. Returns the exit code when the start has succeeded or failed; with
/// `foreground` when the instance has ended.
int start_command(const InstancePaths& paths, const Settings& settings, bool foreground);

}  // namespace lefting::supervisor

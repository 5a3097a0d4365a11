#pragma once

#include "common/base/settings.h"

namespace lefting::supervisor {

struct StartOptions {
  bool foreground = false;  ///< stay in this process
  bool rebuild = false;     ///< give the index up and make a new one from the share
};

/// `supervisor start`: makes the instance and its supervisor, which lives on in a process of its
/// own unless it is to stay in the foreground. Returns the exit code when the start has succeeded
/// or failed; in the foreground when the instance has ended.
int start_command(const InstancePaths& paths, const Settings& settings,
                  const StartOptions& options);

}  // namespace lefting::supervisor

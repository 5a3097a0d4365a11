#pragma once

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/base/settings.h"
#include "common/base/unique_fd.h"

namespace lefting::supervisor {

/// Takes the instance's lock. The roles inherit the descriptor, so the lock is free only when all
/// programs of an instance are gone; those of a dead supervisor get `wait` to leave.
/// Errors: another supervisor runs (with its pid), or its programs don't leave.
Result<UniqueFd> lock_instance(const InstancePaths& paths, milliseconds wait);

}  // namespace lefting::supervisor

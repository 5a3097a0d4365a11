#pragma once

#include "common/base/reason.h"
#include "common/base/result.h"

namespace lefting::share {

/// Why a path of the share is not in sync, by what went wrong with it.
Reason reason_of(const Error& error);

}  // namespace lefting::share

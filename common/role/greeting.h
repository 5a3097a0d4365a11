#pragma once

#include <cstdint>

#include "common/base/entry.h"
#include "common/role/role.h"
#include "common/wire/messages.h"

namespace lefting {

/// What this instance says of itself to `peer` in hello and news, and in their replies.
wire::Greeting greeting_to(Instance& instance, const Peer& peer);

}  // namespace lefting

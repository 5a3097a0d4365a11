#pragma once

#include <cstdint>
#include <string>

#include "common/base/entry.h"
#include "common/role/role.h"
#include "common/wire/messages.h"

namespace lefting {

/// What this instance says of itself to `peer` in hello and news, and in their replies.
wire::Greeting greeting_to(Instance& instance, const Peer& peer);

/// Takes what a peer says of itself in hello, in news, or in reply. `host`: where it came from.
/// Throws StoreError.
void meet_greeting(Instance& instance, int slot, const wire::Greeting& greeting,
                   const std::string& host);

}  // namespace lefting

#pragma once

#include <cstdint>
#include <string>

#include "common/base/entry.h"
#include "common/role/role.h"
#include "common/wire/messages.h"

namespace lefting {

/// What this instance says of itself to `peer` in hello and news, and in their replies.
wire::Greeting greeting_to(Instance& instance, const Peer& peer);

/// Takes what a peer says of itself in hello, or in news. Where its store, or ours, has gone back
/// to an older copy (a backup, a machine's snapshot), all that the other has is to be heard again.
/// `host`    where it came from.
/// Returns   true: the peer is to be asked anew what it has. Throws StoreError.
bool meet_greeting(Instance& instance, int slot, const wire::Greeting& greeting,
                   wire::Operation operation, const std::string& host);

}  // namespace lefting

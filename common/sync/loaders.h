#pragma once

#include "common/state/dictionary.h"
#include "common/state/peers.h"
#include "common/state/tickets.h"
#include "common/store/store.h"

namespace lefting::sync {

// How the parts of the segment get what they hold from the store, which must outlive them.

state::Dictionary::Backing backing_of(store::Store& store);
state::TicketQueue::Load ticket_loader(store::Store& store);
state::PeerList::Load peer_loader(store::Store& store);

}  // namespace lefting::sync

#pragma once

#include <functional>
#include <optional>

#include "common/base/entry.h"
#include "common/state/peers.h"
#include "common/store/store.h"
#include "common/wire/messages.h"

namespace lefting::sync {

/// Changes what is known of a peer: in the store first, then in the segment. Nothing is written
/// where `change` changes nothing. False: the slot is empty. Throws StoreError.
bool update_peer(store::Store& store, state::PeerList& peers, int slot,
                 const std::function<void(Peer&)>& change);

/// Takes what a greeting says of the peer itself into `peer`: its name, where it listens (unless
/// the user gave an address), and what it has seen of our index `own`.
/// `host`: where the greeting came from.
void take_greeting(Peer& peer, const wire::Greeting& greeting, IndexId own,
                   const std::string& host);

/// What of `page` is stored once its entries are: `peer.index` and `peer.seen` go on only where
/// the page begins at or before what was seen.
void take_range(Peer& peer, const wire::IndexRange& page);

}  // namespace lefting::sync

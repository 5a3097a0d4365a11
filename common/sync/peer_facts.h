#pragma once

#include <functional>
#include <optional>

#include "common/base/entry.h"
#include "common/state/peers.h"
#include "common/store/store.h"
#include "common/sync/index.h"
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

/// True if the peer has less of our index `own` than it had before: its store is an older copy of
/// itself, or it has us in its list anew.
/// `most_told`  what was known before the peer was asked.
/// `reply`      what it answered, so that it can't be older than that.
bool has_gone_back(std::uint64_t most_told, const wire::Greeting& reply, IndexId own);

/// forget_offers() of a peer that has_gone_back().
void take_back(Index& index, state::PeerList& peers, int slot);

/// What a peer offered that it has lost may be nowhere any more, and nobody would say so: it is no
/// source any more, its list is to be heard anew, and `change` says what else is forgotten of it.
/// Throws StoreError.
/// Returns   true: something that it had offered was still wanted, and all peers are asked anew
///           once the supervisor is woken.
bool forget_offers(Index& index, state::PeerList& peers, int slot,
                   const std::function<void(Peer&)>& change);

/// What of `page` is stored once its entries are: `peer.index` and `peer.seen` go on only where
/// the page begins at or before what was seen.
void take_range(Peer& peer, const wire::IndexRange& page);

}  // namespace lefting::sync

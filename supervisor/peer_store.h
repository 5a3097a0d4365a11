#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/state/peers.h"
#include "common/store/store.h"

namespace lefting::supervisor {

/// Peers as the user names them, and the store's list of them. All throw StoreError.

/// `[ID@]HOST[:PORT]`, or an ID alone, as a peer without a slot.
/// Errors: not of that form; no ID where this instance is not plain; this device itself.
Result<Peer> parse_peer(const std::string& text, bool plain, const DeviceId& own);

/// The stored peer that `peer` is: the same device, or the same address where one has no device.
std::optional<Peer> find_peer(store::Store& store, const Peer& peer);

/// Stores a new peer, or what `peer` says anew of one that is there. Returns it as it is stored.
Result<Peer> add_peer(store::Store& store, const Peer& peer);

/// The stored peer whose device ID (or the first 8 characters of it), address or name is `text`.
/// Errors: none or several are.
Result<Peer> named_peer(store::Store& store, std::string_view text);

/// What people call a peer: its name, else its address, else its device ID.
std::string peer_title(const Peer& peer);

}  // namespace lefting::supervisor

#include "supervisor/peer_store.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/net/address.h"

namespace lefting::supervisor {

namespace {

bool same_peer(const Peer& one, const Peer& other) {
  if (one.device && other.device) return *one.device == *other.device;
  return !one.address.empty() && one.address == other.address;
}

bool is_named(const Peer& peer, std::string_view text) {
  if (peer.device) {
    if (parse_device_id(text) == peer.device) return true;
    if (parse_short_id(text) == short_id(*peer.device)) return true;
  }
  if (peer.name == text) return true;
  const auto address = net::parse_address(text);
  return !peer.address.empty() && address.ok() && address.value().text() == peer.address;
}

}  // namespace

Result<Peer> parse_peer(const std::string& text, bool plain, const DeviceId& own) {
  const auto spec = net::parse_peer_spec(text);
  if (!spec) return spec.error();
  if (!plain && !spec.value().device) {
    return plain_error("peer \"" + printable(text) + "\"", "its device ID is missing",
                       "run `supervisor id` on that machine and give ID@HOST:PORT, or start both "
                       "with --plain on a trusted wire");
  }
  if (spec.value().device == own) {
    return plain_error("peer \"" + printable(text) + "\"", "that is this device itself",
                       "give the ID that `supervisor id` prints on the other machine");
  }
  Peer peer;
  peer.device = spec.value().device;
  if (spec.value().address) peer.address = spec.value().address->text();
  return peer;
}

std::optional<Peer> find_peer(store::Store& store, const Peer& peer) {
  std::optional<Peer> by_address;
  for (Peer& one : store.peers()) {
    if (!same_peer(one, peer)) continue;
    if (one.device && peer.device) return std::move(one);
    by_address = std::move(one);
  }
  return by_address;
}

Result<Peer> add_peer(store::Store& store, const Peer& peer) {
  Peer stored = find_peer(store, peer).value_or(Peer{});
  if (peer.device) stored.device = peer.device;
  if (!peer.address.empty()) {
    stored.address = peer.address;
    stored.learned = false;
  }
  if (stored.slot < 0 && store.peers().size() >= static_cast<std::size_t>(kMaxPeers)) {
    return plain_error("peer add", "there are " + std::to_string(kMaxPeers) + " peers already",
                       "remove one with `supervisor peer remove`");
  }
  store::Transaction transaction{store};
  transaction.put_peer(stored);
  transaction.commit();
  return stored;
}

Result<Peer> named_peer(store::Store& store, std::string_view text) {
  std::vector<Peer> found = store.peers();
  std::erase_if(found, [&](const Peer& peer) { return !is_named(peer, text); });
  if (found.size() == 1) return std::move(found.front());
  return plain_error("peer \"" + printable(text) + "\"",
                     found.empty() ? "there is none" : "there are several",
                     "`supervisor peer list` shows them; give the device ID or address");
}

std::string peer_title(const Peer& peer) {
  if (!peer.name.empty()) return printable(peer.name);
  if (!peer.address.empty()) return printable(peer.address);
  return peer.device ? to_text(*peer.device) : "peer " + std::to_string(peer.slot);
}

}  // namespace lefting::supervisor

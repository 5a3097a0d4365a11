#pragma once

#include <memory>

#include "common/state/dictionary.h"
#include "common/state/peers.h"
#include "common/state/role_board.h"
#include "common/state/segment.h"
#include "common/state/tickets.h"
#include "common/store/store.h"
#include "common/sync/index.h"
#include "tests/unit/records.h"
#include "tests/unit/temp_folder.h"

namespace lefting::test {

/// A store and a segment of its own, as one program has them attached.
struct SyncFixture {
  TempFolder folder;
  store::Store store{folder / "s.db"};
  state::Segment segment = state::Segment::create(64u << 20);
  state::Dictionary dictionary{segment,
                               [this](std::size_t shard, const state::Dictionary::Emit& emit) {
                                 store.for_each_in_shard(shard, emit);
                               }};
  state::TicketQueue tickets{
      segment, [this](const state::TicketQueue::Emit& emit) { store.for_each_ticket(emit); }};
  state::PeerList peers{segment, [this](const state::PeerList::Emit& emit) {
                          for (const Peer& peer : store.peers()) emit(peer);
                        }};
  state::Inflight& inflight = state::role_inflight(segment, state::Role::listener);
  sync::Index index{store, dictionary, tickets, inflight};

  /// Loads every part of the segment, so that what is only in the store stays out of it.
  void load_all() {
    for (std::size_t shard = 0; shard < kShards; ++shard) dictionary.for_each(shard, [](auto&&) {});
    tickets.list();
    peers.list();
  }
  int add_peer(char letter) {
    Peer peer;
    peer.device.emplace();
    peer.device->bytes.fill(static_cast<std::uint8_t>(letter));
    store::Transaction transaction{store};
    transaction.put_peer(peer);
    transaction.commit();
    peers.put(peer);
    return peer.slot;
  }
  /// Records an entry as the scanner would. Returns its sequence.
  std::uint64_t record(const Entry& entry) {
    const auto old = dictionary.find(entry.path);
    std::vector<sync::Change> changes(1);
    changes[0].record.entry = entry;
    changes[0].base = old ? old->sequence : 0;
    return index.commit(changes).value()[0] ? changes[0].record.sequence : 0;
  }
};

}  // namespace lefting::test

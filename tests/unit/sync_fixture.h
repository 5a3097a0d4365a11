#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/state/dictionary.h"
#include "common/state/peers.h"
#include "common/state/role_board.h"
#include "common/state/segment.h"
#include "common/state/tickets.h"
#include "common/store/store.h"
#include "common/sync/index.h"
#include "common/sync/loaders.h"
#include "tests/unit/records.h"
#include "tests/unit/temp_folder.h"

namespace lefting::test {

/// A store and a segment of its own, as one program has them attached.
struct SyncFixture {
  explicit SyncFixture(std::size_t limit_bytes = 64u << 20)
      : segment{state::Segment::create(limit_bytes)} {}

  TempFolder folder;
  store::Store store{folder / "s.db"};
  state::Segment segment;
  state::Dictionary dictionary{segment, sync::backing_of(store)};
  state::TicketQueue tickets{segment, sync::ticket_loader(store)};
  state::PeerList peers{segment, sync::peer_loader(store)};
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
  /// A ticket in the store only, as a program leaves it that dies right after its commit.
  Ticket store_ticket(const Entry& wanted, std::uint64_t sources = 1) {
    Ticket ticket;
    ticket.wanted = wanted;
    ticket.sources = sources;
    store::Transaction transaction{store};
    transaction.add_ticket(ticket);
    transaction.commit();
    return ticket;
  }
  /// A ticket in both.
  Ticket add_ticket(const Entry& wanted, std::uint64_t sources = 1) {
    const Ticket ticket = store_ticket(wanted, sources);
    static_cast<void>(tickets.put({ticket}));
    return ticket;
  }
  /// Records an entry as the scanner would. Returns its sequence.
  std::uint64_t record(const Entry& entry) {
    const auto old = dictionary.find(entry.path);
    std::vector<sync::Change> changes(1);
    changes[0].record.entry = entry;
    changes[0].base = old ? old->sequence : 0;
    return index.commit(changes)[0] ? changes[0].record.sequence : 0;
  }
};

}  // namespace lefting::test

#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/state/peers.h"
#include "common/sync/index.h"
#include "common/wire/messages.h"

namespace lefting::sync {

/// What came of one page.
struct Taken {
  std::vector<wire::Rejected> rejected;
  std::size_t entries = 0;
  std::size_t wishes = 0;   ///< tickets that are new, or have a new source or their hash
  std::size_t retold = 0;   ///< entries that have a ticket already: it may go on now
  std::size_t revived = 0;  ///< tombstones that are told again: the scanner is to be woken
  std::uint64_t seen = 0;   ///< of the peer's index, after this page
  bool forgot = false;      ///< the peer's index is another one: all peers are to be asked anew
  /// There may be something for the downloader.
  bool has_work() const { return forgot || wishes != 0 || retold != 0; }
};

/// Takes lists of peers: compares them with our dictionary, and makes tickets of what we lack.
/// Any thread may call; throws StoreError.
class Intake {
 public:
  /// `self`: the writer of our index. All must outlive the intake.
  Intake(Index& index, state::PeerList& peers, ShortId self);

  /// Takes one page of the peer in `slot`. When it returns, its tickets are safely stored.
  ///
  /// `greeting`  the header that came with it: encoding, index.
  /// `data`      the page as it came.
  /// Errors      too_large, bad_request: it is no list; what stood before the fault is taken.
  Result<Taken> take(int slot, const wire::Greeting& greeting, std::span<const std::byte> data);

 private:
  bool meet_index(int slot, IndexId index);
  void revive(std::vector<Change>& tombstones, Taken& taken);
  void want(std::vector<Ticket>& wishes, Taken& taken);

  Index& index_;
  state::PeerList& peers_;
  ShortId self_;
};

}  // namespace lefting::sync

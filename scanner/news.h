#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "common/base/os.h"
#include "common/net/connection.h"
#include "common/role/role.h"
#include "common/sync/outgoing.h"

namespace lefting::scanner {

/// Tells one peer our changes over a connection that stays open. A thread of its own, so that a
/// slow peer holds up nobody.
///
/// 1. A page is sent again until the peer says that it has stored it; twice does no harm.
/// 2. When the peer can't be reached it is marked offline, and hello finds it again.
class NewsSender {
 public:
  NewsSender(RoleContext& context, int slot);
  ~NewsSender();

  /// There may be something to tell, or the peer's state has changed.
  void wake() { wake_.signal(); }
  /// Tells an entry that is not in the index yet, unless the peer is offline. Any thread may call.
  void announce(const Entry& entry);

 private:
  void run();
  /// One step: connects, tells, or waits.
  void step();
  void wait(milliseconds most);
  bool stopping() const;
  bool connect(const Peer& peer);
  /// Sends pages until the peer has all changes. False: it could not, and the step is over.
  bool tell_all();
  void forget_announced();
  /// False as tell_all().
  bool tell_announced();
  /// `in_index`: the page is what the index has in the page's range.
  bool send_page(const sync::Page& page, bool in_index);
  /// Takes the reply to a page. False where it is an error, or the peer's store has gone back.
  /// `most_told`: as it was known before the page was sent.
  bool take_reply(const sync::Page& page, std::uint64_t most_told);
  void lose(state::PeerState state, const std::string& reason);
  void save_told();

  RoleContext& context_;
  Instance& instance_;
  int slot_;
  EventFd wake_;
  EventFd stop_;  // never drained: this sender's own stop_fd
  std::optional<net::Connection> connection_;
  std::uint64_t told_ = 0;  ///< last of our changes that the peer has stored
  bool says_seen_ = false;  ///< it says itself what it has stored
  bool zstd_ = false;
  Deadline keepalive_{};
  std::mutex mutex_;
  std::vector<Entry> announced_;  ///< guarded by mutex_
  std::jthread thread_;           // last: it uses the others
};

/// A sender for each peer in the list.
class NewsSenders {
 public:
  explicit NewsSenders(RoleContext& context);
  /// Makes senders for new peers, ends those of peers that are gone, wakes the others where the
  /// peer list has changed.
  void look_at_peers();
  void tell();
  /// Tells all peers that are online an entry that is not in the index yet. Any thread may call,
  /// but not beside look_at_peers().
  void announce(const Entry& entry);

 private:
  RoleContext& context_;
  std::array<std::unique_ptr<NewsSender>, kMaxPeers> senders_;
  std::uint64_t peer_changes_ = ~std::uint64_t{0};
};

}  // namespace lefting::scanner

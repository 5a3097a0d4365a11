#pragma once

#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/entry.h"
#include "common/base/shard.h"
#include "common/base/unique_fd.h"
#include "common/state/layout.h"
#include "common/state/segment.h"
#include "common/state/tickets.h"

namespace lefting::state {

inline constexpr std::uint64_t kMiB = 1 << 20;

inline Ticket make_ticket(std::string path, std::uint64_t id, std::uint64_t size = 10,
                          std::uint64_t sources = 1) {
  Ticket ticket;
  ticket.id = id;
  ticket.wanted.path = std::move(path);
  ticket.wanted.size = size;
  ticket.wanted.mtime_ns = -3;
  ticket.wanted.hash = ContentHash{{1, 2}};
  ticket.wanted.version = {{ShortId{5}, id}};
  ticket.sources = sources;
  return ticket;
}

/// A segment, attached twice, over a store of tickets.
struct TicketBench {
  explicit TicketBench(std::size_t limit_bytes = 64 << 20)
      : segment{Segment::create(limit_bytes)} {}

  std::map<std::uint64_t, Ticket> store;
  std::size_t loads = 0;  ///< of one shard each
  Segment segment;
  Segment again = Segment::attach(UniqueFd{::fcntl(segment.fd(), F_DUPFD_CLOEXEC, 0)}).take();
  TicketQueue::Load load = [this](std::size_t, const TicketQueue::Emit& emit) {
    ++loads;
    for (const auto& [id, ticket] : store) emit(ticket);
  };
  TicketQueue queue{segment, load};
  TicketQueue other{again, load};

  TicketControl& control(std::string_view path) { return segment.layout().tickets[shard_of(path)]; }
  void spoil() {
    for (TicketControl& shard : segment.layout().tickets) shard.guard.dirty.store(1);
  }
  /// Into the store and then into the segment.
  Status put(const Ticket& ticket) {
    store[ticket.id] = ticket;
    return queue.put({ticket});
  }
  /// Out of both, as when its file is there.
  bool end(const TicketView& view) {
    store.erase(view.ticket.id);
    return queue.remove(view.ticket.wanted.path, view.ticket.id);
  }
};

using Ids = std::vector<std::uint64_t>;

inline Ids ids(const std::vector<TicketView>& views) {
  Ids out;
  for (const TicketView& view : views) out.push_back(view.ticket.id);
  return out;
}

/// A path of the shard, one for each number.
inline std::string path_in(std::size_t shard, std::uint64_t number, const std::string& tail = {}) {
  for (std::uint64_t i = 0;; ++i) {
    std::string path = std::to_string(number) + "-" + std::to_string(i) + tail;
    if (shard_of(path) == shard) return path;
  }
}

}  // namespace lefting::state

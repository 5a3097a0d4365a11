#pragma once

#include <cstdint>
#include <string>

#include "common/state/dictionary.h"
#include "common/state/peers.h"
#include "common/state/segment.h"
#include "common/state/tickets.h"

namespace lefting::supervisor {

/// What `start --foreground` shows.
struct StatusNumbers {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  int peers_online = 0;
  int peers = 0;
  std::uint64_t queued = 0;  ///< tickets, waiting ones included
  std::uint64_t active = 0;
  std::uint64_t received_per_s = 0;  ///< bytes
  std::uint64_t sent_per_s = 0;
};
std::string status_text(const StatusNumbers& numbers);

/// One line on stdout: on a terminal always the same one, else a new one when it has changed.
/// Reads the segment's lock-free words only.
class StatusLine {
 public:
  /// All must outlive the line.
  StatusLine(state::Segment& segment, const state::Dictionary& dictionary,
             const state::TicketQueue& tickets, const state::PeerList& peers);
  ~StatusLine();
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  std::uint64_t next_due_ms() const { return next_ms_; }
  void show_if_due(std::uint64_t now_ms);

 private:
  StatusNumbers numbers(std::uint64_t now_ms);

  state::Segment& segment_;
  const state::Dictionary& dictionary_;
  const state::TicketQueue& tickets_;
  const state::PeerList& peers_;
  bool terminal_;
  std::uint64_t next_ms_ = 0;
  std::uint64_t last_ms_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t sent_ = 0;
  std::string shown_;
};

}  // namespace lefting::supervisor

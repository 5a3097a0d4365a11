#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "supervisor/rate.h"
#include "supervisor/ticket_sweep.h"
#include "supervisor/view.h"
#include "supervisor/watch_frame.h"

namespace lefting::supervisor {

/// Makes one frame after another of an instance; knows how fast things went since the ones before.
class FrameMaker {
 public:
  /// `glob` limits transfers and waiting tickets by path.
  explicit FrameMaker(std::string glob) : glob_{std::move(glob)} {}

  /// `state`: a few words on how the instance is. Throws StoreError.
  WatchFrame make(View& view, const std::string& state);

 private:
  void put_head(WatchFrame& frame, const View& view, const std::vector<state::PeerView>& peers,
                const std::string& state);
  void put_tickets(WatchFrame& frame, View& view);
  void put_transfer(WatchFrame& frame, const state::TicketView& ticket, std::uint64_t now_ms);

  std::string glob_;
  Counts counts_;
  TicketSweep sweep_;
  Rate received_;
  Rate sent_;
  std::map<std::uint64_t, Rate> rates_;  ///< of active tickets, by id
};

}  // namespace lefting::supervisor

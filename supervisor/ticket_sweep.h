#pragma once

#include <cstdint>
#include <map>

#include "supervisor/view.h"

namespace lefting::supervisor {

/// Finds the tickets that are not simply queued, among a million if need be, at a bounded cost for
/// each look: what it has found it follows, and it goes on searching where it was.
class TicketSweep {
 public:
  /// By id: active, waiting and failed ones.
  using Found = std::map<std::uint64_t, state::TicketView>;

  /// `totals` say how many there are to be found.
  const Found& look(View& view, const state::TicketQueue::Totals& totals);
  void forget();

 private:
  void follow(View& view);
  bool has_all(const state::TicketQueue::Totals& totals) const;
  /// Looks at tickets with an id > `after` until all are found or `most` were looked at. Returns
  /// where it ended; 0: after the last one.
  std::uint64_t search(View& view, const state::TicketQueue::Totals& totals, std::uint64_t after,
                       std::size_t most);
  void take(const state::TicketView& ticket);
  void drop(Found::iterator at);

  Found found_;
  std::uint64_t active_ = 0;  ///< how many of them are
  std::uint64_t next_ = 0;
};

}  // namespace lefting::supervisor

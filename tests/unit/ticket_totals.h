#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "common/state/tickets.h"

namespace lefting::state {

/// The queue's totals are those of `all`, its tickets. Returns them.
inline TicketQueue::Totals check_totals(const TicketQueue& queue,
                                        const std::vector<TicketView>& all) {
  TicketQueue::Totals sum;
  for (const TicketView& view : all) {
    sum.queued += view.state == TicketState::queued;
    sum.active += view.state == TicketState::active;
    sum.waiting += view.state == TicketState::waiting;
    sum.failed += view.state == TicketState::failed;
    sum.bytes += view.ticket.wanted.size;
    sum.done_bytes += view.done_bytes;
  }
  const TicketQueue::Totals totals = queue.totals();
  REQUIRE(totals.queued == sum.queued);
  REQUIRE(totals.active == sum.active);
  REQUIRE(totals.waiting == sum.waiting);
  REQUIRE(totals.failed == sum.failed);
  REQUIRE(totals.bytes == sum.bytes);
  REQUIRE(totals.done_bytes == sum.done_bytes);
  return sum;
}

}  // namespace lefting::state

#include "supervisor/ticket_sweep.h"

#include <algorithm>

namespace lefting::supervisor {

namespace {

// More than any screen has lines, and than the downloader works on at once.
constexpr std::uint64_t kMostActive = 4096;
constexpr std::uint64_t kMostWaiting = 1024;
constexpr std::size_t kMostLooks = 5000;

}  // namespace

const TicketSweep::Found& TicketSweep::look(View& view, const state::TicketQueue::Totals& totals) {
  const View::Session session{view};
  follow(view);
  // The downloader takes the earliest first: what is active next comes soon after what was.
  std::uint64_t last_active = 0;
  for (const auto& [id, ticket] : found_) {
    if (ticket.state == state::TicketState::active) last_active = id;
  }
  if (!has_all(totals)) search(view, totals, last_active, kMostLooks);
  if (!has_all(totals)) next_ = search(view, totals, next_, kMostLooks);
  return found_;
}

void TicketSweep::forget() {
  found_.clear();
  active_ = 0;
  next_ = 0;
}

void TicketSweep::follow(View& view) {
  for (auto at = found_.begin(); at != found_.end();) {
    const auto here = at++;
    const auto now = view.find_ticket(here->second.ticket);
    drop(here);
    if (now) take(*now);
  }
}

bool TicketSweep::has_all(const state::TicketQueue::Totals& totals) const {
  const std::uint64_t waiting = found_.size() - active_;
  return active_ >= std::min(totals.active, kMostActive) &&
         waiting >= std::min(totals.waiting + totals.failed, kMostWaiting);
}

std::uint64_t TicketSweep::search(View& view, const state::TicketQueue::Totals& totals,
                                  std::uint64_t after, std::size_t most) {
  std::size_t looks = 0;
  bool stopped = false;
  const auto look_at = [&](const state::TicketView& ticket) {
    after = ticket.ticket.id;
    take(ticket);
    stopped = ++looks >= most || has_all(totals);
    return !stopped;
  };
  view.for_each_ticket(look_at, after);
  return stopped ? after : 0;
}

void TicketSweep::take(const state::TicketView& ticket) {
  if (ticket.state == state::TicketState::queued) return;
  const bool is_active = ticket.state == state::TicketState::active;
  const bool has_room = is_active ? active_ < kMostActive : found_.size() - active_ < kMostWaiting;
  if (!has_room) return;
  const bool is_new = found_.emplace(ticket.ticket.id, ticket).second;
  if (is_new && is_active) ++active_;
}

void TicketSweep::drop(Found::iterator at) {
  if (at->second.state == state::TicketState::active) --active_;
  found_.erase(at);
}

}  // namespace lefting::supervisor

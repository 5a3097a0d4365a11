#include "supervisor/frame_maker.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

#include "common/base/log.h"
#include "supervisor/dump_json.h"
#include "supervisor/dump_tables.h"
#include "supervisor/human.h"
#include "supervisor/status_line.h"

namespace lefting::supervisor {

namespace {

WatchFrame::Waiting waiting_of(const state::TicketView& ticket, std::uint64_t now_ms) {
  WatchFrame::Waiting out{.path = ticket.ticket.wanted.path,
                          .state = state::to_text(ticket.state),
                          .reason = ticket.reason.text,
                          .again_in_ms = {}};
  const bool has_time = ticket.state == state::TicketState::waiting &&
                        ticket.retry_at_ms != state::kNoRetry && ticket.retry_at_ms > now_ms;
  if (has_time) out.again_in_ms = ticket.retry_at_ms - now_ms;
  return out;
}

std::string queue_reason(const View& view) {
  if (!view.live()) return "the instance is not running";
  const auto roles = view.roles();
  const auto downloader = std::ranges::find(roles, "downloader", &RoleView::role);
  if (downloader != roles.end() && downloader->state == "ready") return "their turn comes";
  return "the downloader is not ready";
}

}  // namespace

WatchFrame FrameMaker::make(View& view, const std::string& state) {
  WatchFrame frame;
  if (!view.has_store()) {
    frame.head = {"this instance was " + state + "; `supervisor start` starts it"};
    return frame;
  }
  counts_ = view.counts();
  const auto peers = view.peers();
  put_head(frame, view, peers, state);
  frame.roles = role_lines(view);
  frame.peers = peer_lines(peers);
  put_tickets(frame, view);
  const std::string trouble = view.take_trouble();
  if (!trouble.empty()) {
    frame.head.push_back(printable(trouble) + "; that part is shown as the store has it");
  }
  return frame;
}

void FrameMaker::put_head(WatchFrame& frame, const View& view,
                          const std::vector<state::PeerView>& peers, const std::string& state) {
  const InstanceReport& instance = view.instance();
  const auto online = std::ranges::count(peers, state::PeerState::online, &state::PeerView::state);
  received_.note(monotonic_ms(), counts_.received);
  sent_.note(monotonic_ms(), counts_.sent);
  frame.head.push_back(fmt::format("{}: {}", printable(instance.name), state));
  frame.head.push_back(fmt::format("share {}, listening on {}", printable(instance.share),
                                   printable(instance.listen)));
  frame.head.push_back(status_text({.files = counts_.files,
                                    .bytes = counts_.bytes,
                                    .peers_online = static_cast<int>(online),
                                    .peers = static_cast<int>(peers.size()),
                                    .queued = counts_.tickets.queued + counts_.tickets.waiting,
                                    .active = counts_.tickets.active,
                                    .received_per_s = received_.per_second(),
                                    .sent_per_s = sent_.per_second()}));
  if (!view.live()) return;
  frame.head.push_back(
      fmt::format("{} symlinks, devices and the like skipped, {} ignored, {} unreadable; {}",
                  counts_.skipped, counts_.ignored, counts_.unreadable,
                  counts_.watching ? "inotify watches" : "traversals only, no inotify"));
  frame.traffic =
      fmt::format("{} received, {} sent", human_size(counts_.received), human_size(counts_.sent));
}

void FrameMaker::put_tickets(WatchFrame& frame, View& view) {
  frame.queued = counts_.tickets.queued;
  frame.queue_reason = queue_reason(view);
  if (!view.live()) return sweep_.forget();
  const std::uint64_t now_ms = monotonic_ms();
  const auto& found = sweep_.look(view, counts_.tickets);
  for (const auto& [id, ticket] : found) {
    if (!path_matches(ticket.ticket.wanted.path, glob_)) continue;
    if (ticket.state == state::TicketState::active) {
      put_transfer(frame, ticket, now_ms);
    } else {
      frame.waiting.push_back(waiting_of(ticket, now_ms));
    }
  }
  std::erase_if(rates_, [&](const auto& one) { return !found.contains(one.first); });
  // What is on its way stands before what has been taken and not begun.
  std::ranges::stable_partition(frame.transfers,
                                [](const auto& one) { return one.done_bytes > 0; });
  frame.active = frame.transfers.size();
  frame.waiting_count = frame.waiting.size();
  if (!glob_.empty()) return;
  frame.active = std::max(frame.active, counts_.tickets.active);
  frame.waiting_count =
      std::max(frame.waiting_count, counts_.tickets.waiting + counts_.tickets.failed);
}

void FrameMaker::put_transfer(WatchFrame& frame, const state::TicketView& ticket,
                              std::uint64_t now_ms) {
  Rate& rate = rates_[ticket.ticket.id];
  rate.note(now_ms, ticket.done_bytes);
  const Entry& wanted = ticket.ticket.wanted;
  frame.transfers.push_back({.path = wanted.path,
                             .size_bytes = wanted.size,
                             .done_bytes = ticket.done_bytes,
                             .per_second = rate.per_second(),
                             .deletion = wanted.deleted});
}

}  // namespace lefting::supervisor

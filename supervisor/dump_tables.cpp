#include "supervisor/dump_tables.h"

#include <fmt/core.h>

#include <algorithm>

#include "common/base/log.h"
#include "supervisor/dump_json.h"
#include "supervisor/human.h"
#include "supervisor/peer_store.h"
#include "supervisor/table.h"

namespace lefting::supervisor {

namespace {

constexpr std::size_t kFirstTickets = 10;
constexpr auto kRight = Table::Align::right;

void append(std::vector<std::string>& to, std::vector<std::string> lines) {
  if (lines.empty()) return;
  if (!to.empty()) to.emplace_back();
  to.insert(to.end(), std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
}

std::string source_titles(std::uint64_t sources, const std::vector<state::PeerView>& peers) {
  std::string out;
  for (const state::PeerView& view : peers) {
    if ((sources >> view.peer.slot & 1) == 0) continue;
    out += (out.empty() ? "" : ", ") + peer_title(view.peer);
  }
  return out.empty() ? "-" : out;
}

std::string ticket_counts(const state::TicketQueue::Totals& tickets) {
  return fmt::format("{} queued, {} active, {} waiting, {} failed; {} of {} here", tickets.queued,
                     tickets.active, tickets.waiting, tickets.failed,
                     human_size(tickets.done_bytes), human_size(tickets.bytes));
}

}  // namespace

std::vector<std::string> summary_lines(View& view) {
  const InstanceReport& instance = view.instance();
  const Counts counts = view.counts();
  const auto peers = view.peers();
  const auto online = std::ranges::count(peers, state::PeerState::online, &state::PeerView::state);
  std::vector<std::string> out;
  const auto line = [&out](const char* title, const std::string& text) {
    out.push_back(fmt::format("{:<8} {}", title, printable(text)));
  };
  line("device", instance.device.empty() ? "none yet; `supervisor id` makes it" : instance.device);
  line("name", instance.name);
  line("share", instance.share);
  line("listen", instance.listen + (instance.plain ? " (plain)" : ""));
  if (view.live()) {
    line("state",
         fmt::format("running for {}, pid {}", human_duration(instance.uptime_ms), instance.pid));
    line("segment", fmt::format("{} used", human_size(view.used_bytes())));
  } else {
    line("state", "not running");
  }
  line("files",
       fmt::format("{}, {}; {} deleted", counts.files, human_size(counts.bytes), counts.deleted));
  if (view.live()) {
    line("skipped", fmt::format("{} symlinks, devices and the like; {} unreadable", counts.skipped,
                                counts.unreadable));
    line("watch", counts.watching ? "inotify, and regular traversals" : "regular traversals only");
  }
  line("peers", fmt::format("{} of {} online", online, peers.size()));
  line("tickets", ticket_counts(counts.tickets));
  if (view.live()) {
    line("traffic",
         fmt::format("{} received, {} sent", human_size(counts.received), human_size(counts.sent)));
  }
  return out;
}

std::vector<std::string> role_lines(View& view) {
  Table table{{{"ROLE"},
               {"STATE"},
               {"PID", kRight},
               {"UPTIME", kRight},
               {"RESTARTS", kRight},
               {"LAST EXIT", kRight},
               {"HEARTBEAT", kRight}}};
  for (const RoleView& role : view.roles()) {
    const bool runs = role.pid != 0;
    table.add_row({role.role, role.state, runs ? std::to_string(role.pid) : "-",
                   runs ? human_duration(role.uptime_ms) : "-", std::to_string(role.restarts),
                   role.restarts == 0 ? "-" : std::to_string(role.last_exit),
                   runs ? human_duration(role.heartbeat_age_ms) + " ago" : "-"});
  }
  return table.lines();
}

std::vector<std::string> peer_lines(const std::vector<state::PeerView>& peers) {
  if (peers.empty()) return {"no peers; add one with `supervisor peer add ID@HOST:PORT`"};
  Table table{{{"PEER"}, {"STATE"}, {"ADDRESS"}, {"SEEN", kRight}, {"REASON"}, {"DEVICE"}}};
  for (const state::PeerView& view : peers) {
    const Peer& peer = view.peer;
    table.add_row({peer.name.empty() ? "-" : peer.name, state::to_text(view.state),
                   peer.address.empty() ? "-" : peer.address, std::to_string(peer.seen),
                   view.state == state::PeerState::online ? "" : view.reason,
                   peer.device ? to_text(*peer.device) : "-"});
  }
  return table.lines();
}

std::vector<std::string> ticket_lines(View& view, const std::string& glob, std::size_t most) {
  const auto peers = view.peers();
  Table table{{{"STATE"}, {"SIZE", kRight}, {"DONE", kRight}, {"SOURCES"}, {"PATH"}, {"REASON"}}};
  std::size_t shown = 0;
  std::size_t left = 0;
  for (const state::TicketView& ticket : view.tickets()) {
    const Entry& wanted = ticket.ticket.wanted;
    if (!path_matches(wanted.path, glob)) continue;
    if (shown == most) {
      ++left;
      continue;
    }
    ++shown;
    table.add_row({state::to_text(ticket.state),
                   wanted.deleted ? "deletion" : human_size(wanted.size),
                   human_size(ticket.done_bytes), source_titles(ticket.ticket.sources, peers),
                   wanted.path, ticket.reason});
  }
  if (table.empty()) return {"no tickets"};
  auto lines = table.lines();
  if (left > 0) lines.push_back(fmt::format("… and {} more; `dumpstate tickets` shows all", left));
  return lines;
}

std::vector<std::string> overview_lines(View& view, const std::string& glob) {
  std::vector<std::string> out = summary_lines(view);
  append(out, role_lines(view));
  append(out, peer_lines(view.peers()));
  append(out, ticket_lines(view, glob, kFirstTickets));
  return out;
}

void print_files(std::FILE* out, View& view, const std::string& glob) {
  fmt::print(out, "{:>11}  {:<19}  {:>4}  {:>10}  {}\n", "SIZE", "MODIFIED", "MODE", "SEQUENCE",
             "PATH");
  view.for_each_file([&](const Record& record) {
    const Entry& entry = record.entry;
    if (!path_matches(entry.path, glob)) return;
    fmt::print(out, "{:>11}  {:<19}  {:>4o}  {:>10}  {}\n",
               entry.deleted ? "deleted" : human_size(entry.size), human_time(entry.mtime_ns),
               entry.mode, record.sequence, printable(entry.path));
  });
}

}  // namespace lefting::supervisor

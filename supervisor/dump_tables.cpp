#include "supervisor/dump_tables.h"

#include <fmt/compile.h>
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "common/base/log.h"
#include "supervisor/conflicts.h"
#include "supervisor/dump_json.h"
#include "supervisor/human.h"
#include "supervisor/peer_store.h"
#include "supervisor/table.h"
#include "supervisor/unsynced.h"

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

/// Tickets as rows.
struct TicketTable {
  explicit TicketTable(std::vector<state::PeerView> sources) : peers{std::move(sources)} {}
  void add(const state::TicketView& ticket) {
    const Entry& wanted = ticket.ticket.wanted;
    table.add_row({state::to_text(ticket.state),
                   wanted.deleted ? "deletion" : human_size(wanted.size),
                   human_size(ticket.done_bytes), source_titles(ticket.ticket.sources, peers),
                   wanted.path, ticket.reason.text});
  }

  std::vector<state::PeerView> peers;
  Table table{{{"STATE"}, {"SIZE", kRight}, {"DONE", kRight}, {"SOURCES"}, {"PATH"}, {"REASON"}}};
};

std::vector<std::string> first_tickets(View& view, const std::string& glob) {
  TicketTable tickets{view.peers()};
  std::size_t shown = 0;
  bool more = false;
  view.for_each_ticket([&](const state::TicketView& ticket) {
    if (!path_matches(ticket.ticket.wanted.path, glob)) return true;
    more = shown == kFirstTickets;
    if (more) return false;
    ++shown;
    tickets.add(ticket);
    return true;
  });
  if (shown == 0) return {"no tickets"};
  auto lines = tickets.table.take_lines();
  if (more) lines.emplace_back("… and more; `dumpstate tickets` shows all");
  return lines;
}

/// Prints a table of any length while it is made.
class LongTable {
 public:
  LongTable(std::FILE* out, Table& table) : out_{out}, table_{table} {}
  ~LongTable() { print(); }
  LongTable(const LongTable&) = delete;
  LongTable& operator=(const LongTable&) = delete;

  void added() {
    any_ = true;
    if (table_.size() >= kAtOnce) print();
  }
  /// `nothing` is said where no row came.
  void end(const char* nothing) const {
    if (!any_) fmt::print(out_, "{}\n", nothing);
  }

 private:
  static constexpr std::size_t kAtOnce = 1000;
  void print() {
    if (!any_) return;
    for (const std::string& line : table_.take_lines()) fmt::print(out_, "{}\n", line);
  }

  std::FILE* out_;
  Table& table_;
  bool any_ = false;
};

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
    line("skipped", fmt::format("{} symlinks, devices and the like; {} ignored; {} unreadable",
                                counts.skipped, counts.ignored, counts.unreadable));
    if (counts.held != 0) {
      line("held", fmt::format("{} deletions at once are told to nobody: `supervisor deletes "
                               "approve` if they are meant, else `supervisor deletes restore`",
                               counts.held));
    }
    if (counts.left_over != 0) {
      line("left over", fmt::format("{} partial files that no transfer owns; `supervisor logs "
                                    "scanner` names them, and they may be removed",
                                    counts.left_over));
    }
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
  auto lines = table.take_lines();
  for (const RoleView& role : view.roles()) {
    if (!role.reason.empty()) lines.push_back(printable(role.role + ": " + role.reason));
  }
  return lines;
}

std::vector<std::string> peer_lines(const std::vector<state::PeerView>& peers) {
  if (peers.empty()) return {"no peers; add one with `supervisor peer add ID@HOST:PORT`"};
  Table table{{{"PEER"}, {"STATE"}, {"ADDRESS"}, {"REASON"}, {"DEVICE"}}};
  for (const state::PeerView& view : peers) {
    const Peer& peer = view.peer;
    table.add_row({peer.name.empty() ? "-" : peer.name, state::to_text(view.state),
                   peer.address.empty() ? "-" : peer.address,
                   view.state == state::PeerState::online ? "" : view.reason,
                   peer.device ? to_text(*peer.device) : "-"});
  }
  return table.take_lines();
}

std::vector<std::string> overview_lines(View& view, const std::string& glob) {
  std::vector<std::string> out = summary_lines(view);
  append(out, role_lines(view));
  append(out, peer_lines(view.peers()));
  append(out, first_tickets(view, glob));
  return out;
}

void print_tickets(std::FILE* out, View& view, const std::string& glob) {
  TicketTable tickets{view.peers()};
  LongTable lines{out, tickets.table};
  view.for_each_ticket([&](const state::TicketView& ticket) {
    if (!path_matches(ticket.ticket.wanted.path, glob)) return true;
    tickets.add(ticket);
    lines.added();
    return true;
  });
  lines.end("no tickets");
}

void print_conflicts(std::FILE* out, View& view, const std::string& glob) {
  Table table{{{"LOST TO"}, {"SIZE", kRight}, {"CHANGED"}, {"BY"}, {"KEPT AS"}}};
  LongTable lines{out, table};
  std::map<std::string, std::string> names;
  if (const auto device = parse_device_id(view.instance().device)) {
    names[to_text(short_id(*device))] = view.instance().name;
  }
  for (const state::PeerView& peer : view.peers()) {
    if (peer.peer.device) names[to_text(short_id(*peer.peer.device))] = peer_title(peer.peer);
  }
  for_each_conflict(view, [&](const Conflict& conflict) {
    if (!path_matches(conflict.copy.path, glob)) return;
    const auto name = names.find(conflict.device);
    table.add_row({conflict.original, human_size(conflict.copy.size),
                   human_time(conflict.copy.mtime_ns),
                   name == names.end() ? conflict.device : name->second, conflict.copy.path});
    lines.added();
  });
  lines.end("no conflicts");
}

Status print_unsynced(std::FILE* out, View& view, const std::string& glob) {
  Table table{{{"REASON"}, {"PATH"}, {"WHY"}}};
  LongTable lines{out, table};
  Status listed = for_each_unsynced(view, [&](const Unsynced& one) {
    if (!path_matches(one.path, glob)) return;
    table.add_row({to_text(one.reason.cause), one.path, one.reason.text});
    lines.added();
  });
  if (listed) lines.end("all is in sync");
  return listed;
}

void print_files(std::FILE* out, View& view, const std::string& glob) {
  constexpr std::size_t kAtOnce = 1 << 16;
  std::string text = fmt::format("{:>11}  {:<19}  {:>4}  {:>15}  {}\n", "SIZE", "MODIFIED", "MODE",
                                 "SEQUENCE", "PATH");
  const auto write = [&] {
    std::fwrite(text.data(), 1, text.size(), out);
    text.clear();
  };
  view.for_each_file([&](const Record& record) {
    const Entry& entry = record.entry;
    if (!path_matches(entry.path, glob)) return;
    append_right(text, entry.deleted ? "deleted" : human_size(entry.size), 11);
    append_right(text, human_time(entry.mtime_ns), 21);
    append_right(text, fmt::format(FMT_COMPILE("{:o}"), entry.mode), 6);
    append_right(text, std::to_string(record.sequence), 17);
    text += "  ";
    append_printable(text, entry.path);
    text += '\n';
    if (text.size() >= kAtOnce) write();
  });
  write();
}

}  // namespace lefting::supervisor

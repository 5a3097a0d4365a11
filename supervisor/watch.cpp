#include "supervisor/watch.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <utility>

#include "common/base/log.h"
#include "supervisor/commands.h"
#include "supervisor/dump_json.h"
#include "supervisor/dump_tables.h"
#include "supervisor/human.h"
#include "supervisor/table.h"
#include "supervisor/view.h"

namespace lefting::supervisor {

namespace {

constexpr int kPeriodMs = 1000;
constexpr std::size_t kBarWidth = 20;
constexpr std::size_t kMostWaiting = 10;

/// How fast tickets grow, from one look to the next.
class Rates {
 public:
  void begin(std::uint64_t now_ms) {
    passed_ms_ = last_ms_ == 0 ? 0 : now_ms - last_ms_;
    last_ms_ = now_ms;
    before_ = std::exchange(now_, {});
  }
  /// Bytes a second of the ticket since the last look.
  std::uint64_t rate(std::uint64_t ticket, std::uint64_t done_bytes) {
    now_[ticket] = done_bytes;
    const auto found = before_.find(ticket);
    if (found == before_.end() || passed_ms_ == 0 || done_bytes < found->second) return 0;
    return (done_bytes - found->second) * 1000 / passed_ms_;
  }

 private:
  std::uint64_t last_ms_ = 0;
  std::uint64_t passed_ms_ = 0;
  std::map<std::uint64_t, std::uint64_t> before_;  ///< ticket id → done bytes
  std::map<std::uint64_t, std::uint64_t> now_;
};

void append_tickets(std::vector<std::string>& lines, View& view, const std::string& glob,
                    Rates& rates) {
  std::vector<std::string> waiting;
  lines.emplace_back();
  rates.begin(monotonic_ms());
  for (const state::TicketView& ticket : view.tickets()) {
    const Entry& wanted = ticket.ticket.wanted;
    if (!path_matches(wanted.path, glob)) continue;
    if (ticket.state == state::TicketState::active) {
      lines.push_back(fmt::format(
          "{} of {:>10}  {:>10}/s  {}", progress_bar(ticket.done_bytes, wanted.size, kBarWidth),
          human_size(wanted.size), human_size(rates.rate(ticket.ticket.id, ticket.done_bytes)),
          printable(wanted.path)));
    } else if (ticket.state != state::TicketState::queued && waiting.size() < kMostWaiting) {
      waiting.push_back(fmt::format("{:<8} {}: {}", state::to_text(ticket.state),
                                    printable(wanted.path), printable(ticket.reason)));
    }
  }
  lines.insert(lines.end(), waiting.begin(), waiting.end());
}

std::vector<std::string> frame_lines(View& view, const std::string& glob, Rates& rates) {
  std::vector<std::string> lines = summary_lines(view);
  lines.emplace_back();
  for (std::string& line : role_lines(view)) lines.push_back(std::move(line));
  lines.emplace_back();
  for (std::string& line : peer_lines(view.peers())) lines.push_back(std::move(line));
  append_tickets(lines, view, glob, rates);
  return lines;
}

/// One frame in one write: from the top, each line's rest cleared, so that nothing flickers.
bool draw(const std::vector<std::string>& lines) {
  winsize window{};
  const bool terminal = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 0;
  std::string frame = terminal ? "\x1b[H" : "";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (terminal && i + 1 >= window.ws_row) break;
    frame += terminal ? cut_to_width(lines[i], window.ws_col) + "\x1b[K\n" : lines[i] + "\n";
  }
  frame += terminal ? "\x1b[J" : "\n";
  std::fwrite(frame.data(), 1, frame.size(), stdout);
  return std::fflush(stdout) == 0;
}

/// A look at the instance as it is now: again through its supervisor, where it has come or gone.
std::unique_ptr<View> open_view(const InstancePaths& paths) {
  auto view = View::open(paths);
  return view ? view.take() : View::open_store(paths);
}

}  // namespace

int watch_state(const InstancePaths& paths, const std::string& glob) {
  if (::isatty(STDOUT_FILENO) == 1) std::fputs("\x1b[2J", stdout);
  Rates rates;
  std::unique_ptr<View> view;
  for (;;) {
    // At rest it is opened anew each time: a supervisor may have been started meanwhile.
    if (!view || !view->refresh()) view = open_view(paths);
    if (!draw(frame_lines(*view, glob, rates))) return kToolFailed;
    poll_fds({}, kPeriodMs);
  }
}

}  // namespace lefting::supervisor

#include "supervisor/status_line.h"

#include <fmt/core.h>
#include <unistd.h>

#include <bit>
#include <cstdio>
#include <utility>

#include "common/state/role_board.h"
#include "supervisor/human.h"

namespace lefting::supervisor {

namespace {
constexpr std::uint64_t kTerminalMs = 1000;
constexpr std::uint64_t kPipeMs = 2000;
}  // namespace

std::string status_text(const StatusNumbers& numbers) {
  return fmt::format("{}, {} | peers {}/{} | tickets {} queued, {} active | in {}/s, out {}/s",
                     counted(numbers.files, "file"), human_size(numbers.bytes),
                     numbers.peers_online, numbers.peers, numbers.queued, numbers.active,
                     human_size(numbers.received_per_s), human_size(numbers.sent_per_s));
}

StatusLine::StatusLine(state::Segment& segment, const state::Dictionary& dictionary,
                       const state::TicketQueue& tickets, const state::PeerList& peers)
    : segment_{segment},
      dictionary_{dictionary},
      tickets_{tickets},
      peers_{peers},
      terminal_{::isatty(STDOUT_FILENO) == 1} {}

StatusLine::~StatusLine() {
  if (terminal_ && !shown_.empty()) std::puts("");
}

StatusNumbers StatusLine::numbers(std::uint64_t now_ms) {
  const auto dictionary = dictionary_.totals();
  const auto tickets = tickets_.totals();
  const auto& traffic = state::traffic_words(segment_);
  const std::uint64_t received = traffic.received.load();
  const std::uint64_t sent = traffic.sent.load();
  const std::uint64_t passed_ms = last_ms_ == 0 ? 0 : now_ms - std::exchange(last_ms_, now_ms);
  if (last_ms_ == 0) last_ms_ = now_ms;
  const auto per_second = [passed_ms](std::uint64_t bytes) {
    return passed_ms == 0 ? 0 : bytes * 1000 / passed_ms;
  };
  return {.files = dictionary.files,
          .bytes = dictionary.bytes,
          .peers_online = std::popcount(peers_.online_mask()),
          .peers = std::popcount(peers_.used_mask()),
          .queued = tickets.queued + tickets.waiting,
          .active = tickets.active,
          .received_per_s = per_second(received - std::exchange(received_, received)),
          .sent_per_s = per_second(sent - std::exchange(sent_, sent))};
}

void StatusLine::show_if_due(std::uint64_t now_ms) {
  if (now_ms < next_ms_) return;
  next_ms_ = now_ms + (terminal_ ? kTerminalMs : kPipeMs);
  std::string text = status_text(numbers(now_ms));
  if (!terminal_ && text == shown_) return;
  shown_ = std::move(text);
  if (terminal_) {
    std::fputs(("\r" + shown_ + "\x1b[K").c_str(), stdout);
  } else {
    std::puts(shown_.c_str());
  }
  std::fflush(stdout);
}

}  // namespace lefting::supervisor

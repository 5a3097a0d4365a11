#include "supervisor/watch_frame.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "supervisor/human.h"

namespace lefting::supervisor {

namespace {

using Lines = std::vector<std::string>;

constexpr std::size_t kBarWidth = 20;
/// Of a frame without a limit.
constexpr std::size_t kMostLines = 2000;

/// `lines` in at most `most`, where they stand for `count` things: how many are missing is said.
Lines cut(Lines lines, std::size_t most, std::uint64_t count, const char* what) {
  if (lines.size() >= count && lines.size() <= most) return lines;
  if (most == 0) return {};
  lines.resize(std::min(lines.size(), most - 1));
  lines.push_back(fmt::format("… and {} more {}", count - lines.size(), what));
  return lines;
}

std::string transfer_line(const WatchFrame::Transfer& transfer) {
  if (transfer.deletion) return fmt::format("deletion  {}", printable(transfer.path));
  const std::uint64_t left_bytes =
      transfer.size_bytes - std::min(transfer.size_bytes, transfer.done_bytes);
  const std::string left = transfer.per_second == 0
                               ? "-"
                               : human_duration(left_bytes * 1000 / transfer.per_second) + " left";
  return fmt::format("{}  {:>10} of {:>10}  {:>10}/s  {:>14}  {}",
                     progress_bar(transfer.done_bytes, transfer.size_bytes, kBarWidth),
                     human_size(transfer.done_bytes), human_size(transfer.size_bytes),
                     human_size(transfer.per_second), left, printable(transfer.path));
}

std::string waiting_line(const WatchFrame::Waiting& waiting) {
  std::string out = fmt::format("{:<7}  {}: {}", waiting.state, printable(waiting.path),
                                printable(waiting.reason));
  if (waiting.again_in_ms)
    out += fmt::format(" (again in {})", human_duration(*waiting.again_in_ms));
  return out;
}

/// The first line are the titles.
Lines peer_part(const Lines& peers, std::size_t most) {
  if (peers.size() <= most) return peers;
  Lines rows{peers.begin() + 1, peers.end()};
  const std::size_t count = rows.size();
  Lines out = cut(std::move(rows), most - 1, count, "peers");
  out.insert(out.begin(), peers.front());
  return out;
}

void append(Lines& to, Lines part) {
  to.insert(to.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
}

std::string waiting_title(const WatchFrame& frame) {
  std::string out = fmt::format("waiting: {}", frame.waiting_count);
  if (frame.queued > 0) out += fmt::format(", and {} queued: {}", frame.queued, frame.queue_reason);
  return out;
}

}  // namespace

Lines frame_lines(const WatchFrame& frame, std::size_t rows) {
  if (frame.roles.empty()) return frame.head;  // there is nothing to show yet
  if (rows == 0) rows = kMostLines;
  constexpr std::size_t kTitlesAndGaps = 6;
  constexpr std::size_t kLeastPeers = 3;
  const std::size_t fixed = frame.head.size() + frame.roles.size() + kTitlesAndGaps;
  std::size_t room = rows - std::min(rows, fixed);
  Lines peers = peer_part(frame.peers, std::max(room / 3, kLeastPeers));
  room -= std::min(room, peers.size());

  Lines transfers;
  for (const auto& one : frame.transfers) transfers.push_back(transfer_line(one));
  Lines waiting;
  for (const auto& one : frame.waiting) waiting.push_back(waiting_line(one));
  // Half for each, and what one doesn't need for the other.
  const std::size_t for_waiting = std::min<std::size_t>(frame.waiting_count, room / 2);
  transfers = cut(std::move(transfers), room - for_waiting, frame.active, "transfers");
  room -= std::min(room, transfers.size());
  waiting = cut(std::move(waiting), room, frame.waiting_count, "waiting");

  Lines out = frame.head;
  out.emplace_back();
  append(out, frame.roles);
  out.emplace_back();
  append(out, std::move(peers));
  out.emplace_back();
  out.push_back(fmt::format("transfers: {}{}", frame.active,
                            frame.traffic.empty() ? "" : "; " + frame.traffic));
  append(out, std::move(transfers));
  out.emplace_back();
  out.push_back(waiting_title(frame));
  append(out, std::move(waiting));
  return out;
}

}  // namespace lefting::supervisor

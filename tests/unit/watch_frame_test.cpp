#include "supervisor/watch_frame.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "supervisor/counted.h"
#include "supervisor/rate.h"
#include "supervisor/screen.h"

using namespace lefting;
using namespace lefting::supervisor;

namespace {

WatchFrame frame_of(std::size_t peers, std::size_t transfers, std::size_t waiting) {
  WatchFrame frame;
  frame.head = {"head"};
  frame.roles = {"ROLE", "scanner", "listener", "downloader"};
  frame.peers = {"PEER"};
  for (std::size_t i = 0; i < peers; ++i) frame.peers.push_back("peer " + std::to_string(i));
  for (std::size_t i = 0; i < transfers; ++i) {
    frame.transfers.push_back({"t" + std::to_string(i), 100, 50, 10});
  }
  for (std::size_t i = 0; i < waiting; ++i) {
    frame.waiting.push_back({"w" + std::to_string(i), "waiting", "because", {}});
  }
  frame.active = transfers;
  frame.waiting_count = waiting;
  return frame;
}

bool has_line(const std::vector<std::string>& lines, const std::string& text) {
  return std::ranges::any_of(
      lines, [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

}  // namespace

TEST_CASE("frame_lines: a transfer has bar, sizes, rate and time left; a ticket its reason") {
  WatchFrame frame = frame_of(1, 0, 0);
  frame.transfers = {{"a\nb", 200u << 20, 100u << 20, 10u << 20}, {"new", 0, 0, 0}};
  frame.transfers.push_back({.path = "old", .deletion = true});
  frame.active = 3;
  frame.waiting = {{"w", "waiting", "no source is online", 65000}, {"f", "failed", "why", {}}};
  frame.waiting_count = 2;
  frame.queued = 7;
  frame.queue_reason = "their turn comes";
  const auto lines = frame_lines(frame, 0);
  CHECK(has_line(lines,
                 "[##########----------]  50 %   100.0 MiB of  200.0 MiB    10.0 MiB/s       10 s "
                 "left  a\\x0ab"));
  CHECK(has_line(lines, "deletion  old"));
  CHECK(has_line(lines, "waiting  w: no source is online (again in 1 min 5 s)"));
  CHECK(has_line(lines, "failed   f: why"));
  CHECK(has_line(lines, "waiting: 2, and 7 queued: their turn comes"));
}

TEST_CASE("frame_lines: at any size each part has its share, and what is missing is counted") {
  const WatchFrame frame = frame_of(30, 40, 50);
  for (std::size_t rows = 24; rows < 160; ++rows) {
    CAPTURE(rows);
    const auto lines = frame_lines(frame, rows);
    CHECK(lines.size() <= rows);
    CHECK(has_line(lines, "t0"));
    CHECK(has_line(lines, "w0: because"));
    CHECK(has_line(lines, "peer 0"));
    std::size_t shown = 0;
    std::size_t more = 0;
    for (const std::string& line : lines) {
      if (line.find(": because") != std::string::npos) ++shown;
      if (line.starts_with("… and ") && line.ends_with(" more waiting")) {
        more = std::stoul(line.substr(std::string{"… and "}.size()));
      }
    }
    CHECK(shown + more == 50);
  }
  CHECK(frame_lines(frame, 0).size() == 1 + 4 + 31 + 40 + 50 + 6);
}

TEST_CASE("frame_lines: a part that needs little leaves its room to the others") {
  const auto lines = frame_lines(frame_of(1, 1, 50), 40);
  CHECK(lines.size() == 40);
  CHECK(has_line(lines, "t0"));
}

TEST_CASE("frame_lines: there may be more than were found") {
  WatchFrame frame = frame_of(0, 1, 1);
  frame.active = 5;
  frame.waiting_count = 1000000;
  const auto lines = frame_lines(frame, 30);
  CHECK(has_line(lines, "… and 4 more transfers"));
  CHECK(has_line(lines, "… and 999999 more waiting"));
}

TEST_CASE("frame_text: each line clears its rest, the end all below; nothing exceeds the size") {
  const std::vector<std::string> lines = {"one", "twelve chars", "three"};
  CHECK(frame_text(lines, 10, 80) == "\x1b[Hone\x1b[K\ntwelve chars\x1b[K\nthree\x1b[K\x1b[J");
  CHECK(frame_text(lines, 2, 7) == "\x1b[Hone\x1b[K\ntwelv…\x1b[K\x1b[J");
  CHECK(frame_text(lines, 0, 0) == "\x1b[H\x1b[J");
}

TEST_CASE("Rate: the mean of the last 10 s; begins anew where the number falls") {
  Rate rate;
  CHECK(rate.per_second() == 0);
  rate.note(1000, 500);
  CHECK(rate.per_second() == 0);
  rate.note(2000, 1500);
  CHECK(rate.per_second() == 1000);
  rate.note(3000, 1500);
  CHECK(rate.per_second() == 500);
  for (std::uint64_t at_ms = 4000; at_ms <= 20000; at_ms += 1000) rate.note(at_ms, 1500);
  CHECK(rate.per_second() == 0);
  rate.note(21000, 10);
  CHECK(rate.per_second() == 0);
  rate.note(22000, 30);
  CHECK(rate.per_second() == 20);
}

TEST_CASE("Counted: counts again where the files have changed, or may have a moment ago") {
  Counted<int> counted;
  int counts = 0;
  const auto count = [&] { return ++counts; };
  const store::FileMark old{.inode = 1, .changed_ns = 1};
  const store::FileMark fresh{.changed_ns = static_cast<std::int64_t>(wall_ms()) * 1'000'000};
  CHECK(counted.get(old, count) == 1);
  CHECK(counted.get(old, count) == 1);
  CHECK(counted.get(fresh, count) == 2);
  CHECK(counted.get(fresh, count) == 3);
  CHECK(counted.get(old, count) == 4);
}

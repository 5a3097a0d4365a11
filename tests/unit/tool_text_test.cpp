#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "supervisor/human.h"
#include "supervisor/log_files.h"
#include "supervisor/status_line.h"
#include "supervisor/table.h"
#include "supervisor/view.h"

using namespace lefting;
using namespace lefting::supervisor;

TEST_CASE("human_size: the edges of each unit") {
  CHECK(human_size(0) == "0 B");
  CHECK(human_size(1023) == "1023 B");
  CHECK(human_size(1024) == "1.0 KiB");
  CHECK(human_size((1u << 20) - 1) == "1.0 MiB");
  CHECK(human_size(1u << 20) == "1.0 MiB");
  CHECK(human_size(1288490189) == "1.2 GiB");
  CHECK(human_size(~std::uint64_t{0}) == "16.0 EiB");
}

TEST_CASE("human_duration: the edges of each unit") {
  CHECK(human_duration(0) == "0 s");
  CHECK(human_duration(59999) == "59 s");
  CHECK(human_duration(60000) == "1 min 0 s");
  CHECK(human_duration(3599999) == "59 min 59 s");
  CHECK(human_duration(3600000) == "1 h 0 min");
  CHECK(human_duration(86400000) == "1 d 0 h");
}

TEST_CASE("progress_bar: has its width, and never says more than all") {
  CHECK(progress_bar(0, 0, 4) == "[----]   0 %");
  CHECK(progress_bar(1, 2, 4) == "[##--]  50 %");
  CHECK(progress_bar(2, 2, 4) == "[####] 100 %");
  CHECK(progress_bar(5, 2, 4) == "[####] 100 %");
}

TEST_CASE("append_printable: what is plain stays, control bytes are visible") {
  std::string text = ">";
  append_printable(text, "");
  append_printable(text, "\xc3\xa9 \xff~");
  append_printable(text, "a\nb\x7f");
  CHECK(text == ">\xc3\xa9 \xff~a\\x0ab\\x7f");
}

TEST_CASE("append_right: fills up to the width, and cuts nothing") {
  std::string text = "|";
  append_right(text, "ab", 4);
  append_right(text, "abcde", 4);
  CHECK(text == "|  ababcde");
}

TEST_CASE("Table: columns are aligned by characters, and control bytes are visible") {
  Table table{{{"NAME"}, {"SIZE", Table::Align::right}, {"PATH"}}};
  table.add_row({"é", "1", "a\nb"});
  table.add_row({"longer", "1000", ""});
  CHECK(table.take_lines() ==
        std::vector<std::string>{"NAME    SIZE  PATH", "é          1  a\\x0ab", "longer  1000"});
  table.add_row({"x", "1", "a"});
  CHECK(table.size() == 1);
  CHECK(table.take_lines() == std::vector<std::string>{"x          1  a"});
}

TEST_CASE("cut_to_width: never cuts within a character, never exceeds the width") {
  const std::string text = "aéüb€";
  for (std::size_t width = 0; width < 8; ++width) {
    CAPTURE(width);
    const std::string cut = cut_to_width(text, width);
    CHECK(text_width(cut) == std::min<std::size_t>(width, 5));
    CHECK(is_utf8(cut));
  }
}

TEST_CASE("status_text: says all there is in one line") {
  CHECK(status_text({.files = 1,
                     .bytes = 2048,
                     .peers_online = 1,
                     .peers = 2,
                     .queued = 3,
                     .active = 4,
                     .received_per_s = 1024,
                     .sent_per_s = 0}) ==
        "1 file, 2.0 KiB | peers 1/2 | tickets 3 queued, 4 active | in 1.0 KiB/s, out 0 B/s");
}

TEST_CASE("merge_logs: lines are in the order of their times, the rest stays behind its line") {
  const std::vector<std::string> one = {"2026-01-01T00:00:01.000 a[1] info: 1",
                                        "2026-01-01T00:00:03.000 a[1] info: 3", "more of 3"};
  const std::vector<std::string> other = {"2026-01-01T00:00:02.000 b[2] info: 2",
                                          "2026-01-01T00:00:04.000 b[2] info: 4"};
  const std::vector<std::string> all = {one[0], other[0], one[1], one[2], other[1]};
  CHECK(merge_logs({one, other}, 100) == all);
  for (std::size_t most = 0; most <= all.size(); ++most) {
    CAPTURE(most);
    const std::vector<std::string> last(all.end() - static_cast<std::ptrdiff_t>(most), all.end());
    CHECK(merge_logs({one, other}, most) == last);
  }
  CHECK(merge_logs({}, 5).empty());
}

TEST_CASE("done_bytes: counts each done block, the last one only as far as the file goes") {
  Ticket ticket;
  CHECK(done_bytes(ticket) == 0);
  ticket.wanted.size = (2u << 20) + 5;
  ticket.done = {0b101};
  CHECK(done_bytes(ticket) == (1u << 20) + 5);
  ticket.done = {0xff, 0xff};
  CHECK(done_bytes(ticket) == ticket.wanted.size);
}

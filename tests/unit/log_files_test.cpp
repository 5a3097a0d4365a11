#include "supervisor/log_files.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "supervisor/log_follower.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using namespace lefting::supervisor;

namespace {

struct Logs {
  test::TempFolder folder;
  InstancePaths paths{folder / "instance"};
  Logs() { REQUIRE(make_instance_folder(paths).ok()); }

  void append(const std::string& name, const std::string& text) const {
    std::ofstream{paths.logs() + "/" + name, std::ios::app} << text;
  }
  /// As spdlog does it.
  void rotate(const std::string& program) const {
    std::filesystem::rename(paths.log(program), paths.log(program + ".1"));
  }
};

std::string numbered(int first, int last) {
  std::string out;
  for (int i = first; i <= last; ++i) out += "line " + std::to_string(i) + "\n";
  return out;
}

}  // namespace

TEST_CASE("logged_programs: rotated files are not programs") {
  const Logs logs;
  for (const char* name : {"scanner.log", "scanner.1.log", "hello.log", "notes.txt"}) {
    logs.append(name, "x\n");
  }
  CHECK(logged_programs(logs.paths) == std::vector<std::string>{"hello", "scanner"});
}

TEST_CASE("last_log_lines: goes back into the rotated files, as far as it takes") {
  const Logs logs;
  logs.append("scanner.2.log", numbered(1, 3));
  logs.append("scanner.1.log", numbered(4, 6));
  logs.append("scanner.log", numbered(7, 9));
  for (std::size_t most = 0; most <= 12; ++most) {
    CAPTURE(most);
    const auto lines = last_log_lines(logs.paths, "scanner", most);
    REQUIRE(lines.size() == std::min<std::size_t>(most, 9));
    if (!lines.empty()) {
      CHECK(lines.back() == "line 9");
      CHECK(lines.front() == "line " + std::to_string(10 - lines.size()));
    }
  }
  CHECK(last_log_line(logs.paths, "scanner") == "line 9");
  CHECK(last_log_line(logs.paths, "nobody").empty());
}

TEST_CASE("last_log_lines: a file much longer than one reading step") {
  const Logs logs;
  logs.append("scanner.log", numbered(1, 50000));
  const auto lines = last_log_lines(logs.paths, "scanner", 20000);
  REQUIRE(lines.size() == 20000);
  CHECK(lines.front() == "line 30001");
  CHECK(lines.back() == "line 50000");
}

TEST_CASE("LogFollower: gives new lines only, whole ones, across a rotation and of new files") {
  const Logs logs;
  logs.append("scanner.log", numbered(1, 2));
  LogFollower follower{logs.paths, ""};
  std::vector<std::string> seen;
  const auto take = [&] {
    follower.wait(5000, [&](const std::string& line) { seen.push_back(line); });
  };
  logs.append("scanner.log", "line 3\nli");
  take();
  CHECK(seen == std::vector<std::string>{"line 3"});
  logs.append("scanner.log", "ne 4\nline 5\n");
  logs.rotate("scanner");
  logs.append("scanner.log", "line 6\n");
  logs.append("hello.log", "line 7\n");
  take();
  std::ranges::sort(seen);
  CHECK(seen == std::vector<std::string>{"line 3", "line 4", "line 5", "line 6", "line 7"});
}

TEST_CASE("LogFollower: of one program it gives nothing of the others") {
  const Logs logs;
  LogFollower follower{logs.paths, "hello"};
  std::vector<std::string> seen;
  logs.append("scanner.log", "a\n");
  logs.append("hello.log", "b\n");
  follower.wait(5000, [&](const std::string& line) { seen.push_back(line); });
  CHECK(seen == std::vector<std::string>{"b"});
}

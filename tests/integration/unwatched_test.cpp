// A folder that the downloader makes is watched by the scanner a moment later. What happens in it
// between is told by nobody.
#include <doctest/doctest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>

#include "tests/integration/nodes.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

/// A role that does nothing while this lives.
class Stopped {
 public:
  Stopped(Node& node, const std::string& role) : pid_{node.role_pid(role)} {
    send_signal(pid_, SIGSTOP);
  }
  ~Stopped() { go_on(); }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  void go_on() { send_signal(pid_, SIGCONT); }
  int pid() const { return pid_; }

 private:
  int pid_;
};

/// While it lives nobody else writes into the store.
class StoreLock {
 public:
  explicit StoreLock(const Node& node) {
    REQUIRE(sqlite3_open(store_of(node).c_str(), &raw_) == SQLITE_OK);
    sqlite3_busy_timeout(raw_, 10'000);
    REQUIRE(sqlite3_exec(raw_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  ~StoreLock() { sqlite3_close(raw_); }
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;

 private:
  sqlite3* raw_ = nullptr;
};

std::size_t folders_watched(int pid) {
  std::size_t count = 0;
  for (const auto& one : fs::directory_iterator{"/proc/" + std::to_string(pid) + "/fdinfo"}) {
    std::ifstream file{one.path()};
    for (std::string line; std::getline(file, line);) count += line.starts_with("inotify ");
  }
  return count;
}

/// Two that are at rest: no role is stopped while it holds a lock.
void start_quiet_pair(Node& a, Node& b) {
  start_pair(a, b);
  REQUIRE(b.supervisor({"rescan"}).code == 0);
}

}  // namespace

TEST_CASE("unwatched: what is removed from a new folder before it is watched is removed there") {
  Node a;
  Node b;
  start_quiet_pair(a, b);
  Stopped scanner{b, "scanner"};
  a.write("new/er/file", "content");
  a.write("new/er/stays", "content");
  REQUIRE(eventually([&] {
    return b.exists("new/er/file") && b.exists("new/er/stays") && b.dump()["tickets"].Empty();
  }));
  fs::remove(b.share("new/er/file"));
  scanner.go_on();
  CHECK(eventually([&] { return !a.exists("new/er/file"); }));
  CHECK(a.exists("new/er/stays"));
  CHECK(b.role_pid("scanner") == scanner.pid());  // whose successor would have seen it anyway
}

TEST_CASE("unwatched: what is removed there even before it is recorded is removed, too") {
  Node a;
  Node b;
  start_quiet_pair(a, b);
  Stopped scanner{b, "scanner"};
  const std::size_t watched = folders_watched(scanner.pid());
  {
    Stopped downloader{b, "downloader"};
    a.write("new/file", "content");
    REQUIRE(eventually([&] { return b.dump()["tickets"].Size() == 1; }));
    const StoreLock nothing_is_recorded{b};
    downloader.go_on();
    REQUIRE(eventually([&] { return b.exists("new/file"); }));
    fs::remove(b.share("new/file"));
    scanner.go_on();
    REQUIRE(eventually([&] { return folders_watched(scanner.pid()) > watched; }));
  }
  CHECK(eventually([&] { return !a.exists("new/file"); }));
  CHECK(b.role_pid("scanner") == scanner.pid());
}

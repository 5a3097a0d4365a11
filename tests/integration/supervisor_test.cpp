// The supervisor and its roles: start, stop, death, restart, commands.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/integration/node.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

bool all_ready(Node& node) {
  const auto dump = node.dump();
  if (dump["roles"].Size() != 3) return false;
  for (const auto& role : dump["roles"].GetArray()) {
    if (text_of(role, "state") != "ready") return false;
  }
  return true;
}

std::uint64_t restarts(Node& node, const std::string& name) {
  const auto dump = node.dump();
  for (const auto& role : dump["roles"].GetArray()) {
    if (text_of(role, "role") == name) return number_of(role, "restarts");
  }
  return 0;
}

}  // namespace

TEST_CASE("supervisor: start makes a private instance, stop leaves no process") {
  Node node;
  node.start({});
  struct stat raw {};
  REQUIRE(::stat(node.state().c_str(), &raw) == 0);
  CHECK((raw.st_mode & 0777) == 0700);
  CHECK(all_ready(node));
  CHECK(node.pids().size() == 4);
  node.stop();
  CHECK(node.pids().empty());
  CHECK(node.supervisor({"stop"}).code == 3);
  CHECK(node.supervisor({"status"}).code == 3);
}

TEST_CASE("supervisor: a second start on one instance fails and says why") {
  Node node;
  node.start({});
  const Ended second = node.try_start({});
  CHECK(second.code == 1);
  CHECK(second.err.find("already running") != std::string::npos);
  CHECK(all_ready(node));
}

TEST_CASE("supervisor: a role that is killed comes back alone") {
  Node node;
  node.start({});
  for (const std::string role : {"scanner", "listener", "downloader"}) {
    CAPTURE(role);
    const auto others_before = node.pids();
    const int pid = node.role_pid(role);
    send_signal(pid, SIGKILL);
    CHECK(eventually([&] { return node.role_pid(role) != pid && all_ready(node); }));
    CHECK(restarts(node, role) == 1);
  }
  node.write("works", "yes");
  REQUIRE(node.supervisor({"rescan"}).code == 0);
  CHECK(node.dump()["files"].Size() == 1);
}

TEST_CASE("supervisor: a role that hangs is killed and comes back") {
  Node node;
  node.start({});
  const int pid = node.role_pid("downloader");
  send_signal(pid, SIGSTOP);
  CHECK(eventually([&] { return restarts(node, "downloader") == 1 && all_ready(node); },
                   Seconds{40}));
}

TEST_CASE("supervisor: a stop that had to kill a role leaves the store in one file") {
  Node node;
  node.start({});
  send_signal(node.role_pid("downloader"), SIGSTOP);  // it won't close its store
  node.stop();
  CHECK(fs::exists(node.state() + "/lefting.db"));
  CHECK_FALSE(fs::exists(node.state() + "/lefting.db-wal"));
  CHECK_FALSE(fs::exists(node.state() + "/lefting.db-shm"));
}

TEST_CASE("supervisor: when it dies its roles leave, and the next start works") {
  Node node;
  node.start({});
  const auto dump = node.dump();
  for (const int pid : pids_with("supervisor start")) {
    const auto mine = node.pids();
    if (std::find(mine.begin(), mine.end(), pid) != mine.end()) send_signal(pid, SIGKILL);
  }
  CHECK(eventually([&] { return node.pids().empty(); }));
  CHECK(node.dump()["files"].Empty());  // from the store
  node.start({});
  CHECK(all_ready(node));
}

TEST_CASE("supervisor: start right after a kill of the supervisor waits for its roles to leave") {
  Node node;
  node.start({});
  for (int round = 0; round < 5; ++round) {
    for (const int pid : pids_with("supervisor start")) {
      const auto mine = node.pids();
      if (std::find(mine.begin(), mine.end(), pid) != mine.end()) send_signal(pid, SIGKILL);
    }
    node.start({});
    CHECK(all_ready(node));
    CHECK(node.pids().size() == 4);
  }
}

TEST_CASE("supervisor: restart gives new processes, one role or all") {
  Node node;
  node.start({});
  const int scanner = node.role_pid("scanner");
  const int listener = node.role_pid("listener");
  REQUIRE(node.supervisor({"restart", "scanner"}).code == 0);
  CHECK(node.role_pid("scanner") != scanner);
  CHECK(node.role_pid("listener") == listener);
  REQUIRE(node.supervisor({"restart"}).code == 0);
  CHECK(node.role_pid("listener") != listener);
  CHECK(node.supervisor({"restart", "cook"}).code != 0);
}

TEST_CASE("supervisor: SIGTERM is stop") {
  Node node;
  node.start({});
  for (const int pid : pids_with("supervisor start")) {
    const auto mine = node.pids();
    if (std::find(mine.begin(), mine.end(), pid) != mine.end()) send_signal(pid, SIGTERM);
  }
  CHECK(eventually([&] { return node.pids().empty(); }));
  node.start({});
}

TEST_CASE("supervisor: bad usage is 2, bad settings are 1 and named") {
  Node node;
  CHECK(node.supervisor({"dance"}).code == 2);
  CHECK(node.supervisor({"start", "--downloads", "0"}).code != 0);
  fs::create_directories(node.state());
  std::ofstream{node.state() + "/lefting.toml"} << "\nrescn_seconds = 5\n";
  const Ended bad = node.try_start({});
  CHECK(bad.code == 1);
  CHECK(bad.err.find("lefting.toml:2") != std::string::npos);
  CHECK(node.pids().empty());
}

TEST_CASE("supervisor: a store that is no store is refused, and nothing is left running") {
  Node node;
  fs::create_directories(node.state());
  std::ofstream{node.state() + "/lefting.db"} << std::string(8192, 'x');
  const Ended bad = node.try_start({});
  CHECK(bad.code == 1);
  CHECK(bad.err.find("store") != std::string::npos);
  CHECK(node.pids().empty());
}

TEST_CASE("supervisor: a TLS peer without an ID is refused with what to do") {
  Node node;
  const Ended bad = node.try_start({"127.0.0.1:9"});
  CHECK(bad.code != 0);
  CHECK(bad.err.find("ID@") != std::string::npos);
  CHECK(node.pids().empty());
}

TEST_CASE("supervisor: peers are added, listed and removed while it runs") {
  Node a;
  Node b;
  a.start({});
  b.start({a.spec()});
  CHECK(eventually([&] {
    const auto dump = b.dump();
    return text_of(dump["peers"][0], "state") == "refused";
  }));
  REQUIRE(a.supervisor({"peer", "add", b.spec()}).code == 0);
  a.write("x", "1");
  CHECK(eventually([&] { return b.holds("x", "1"); }));
  CHECK(a.supervisor({"peer", "list"}).out.find(b.id()) != std::string::npos);
  REQUIRE(a.supervisor({"peer", "remove", b.id()}).code == 0);
  CHECK(a.dump()["peers"].Empty());
}

TEST_CASE("supervisor: plain and TLS that meet are told so") {
  Node tls;
  Node plain{true};
  tls.start({plain.id() + "@" + plain.address()});
  plain.start({tls.address()});
  CHECK(eventually([&] {
    const std::string there = text_of(tls.dump()["peers"][0], "reason");
    const std::string here = text_of(plain.dump()["peers"][0], "reason");
    return there.find("--plain") != std::string::npos && here.find("TLS") != std::string::npos;
  }));
}

TEST_CASE("dumpstate: the whole object, running or not; exit 3 where there is no instance") {
  Node node;
  CHECK(run("dumpstate", {"--json", "--state", node.state()}).code == 3);
  node.write("a.txt", "1");
  node.write("b.bin", "22");
  node.start({});
  REQUIRE(node.supervisor({"rescan"}).code == 0);
  for (const bool running : {true, false}) {
    CAPTURE(running);
    const auto dump = node.dump();
    for (const char* key : {"segment", "device", "name", "share", "listen", "index", "roles",
                            "peers", "tickets", "files"}) {
      CAPTURE(key);
      CHECK(dump.HasMember(key));
    }
    CHECK(text_of(dump, "device") == node.id());
    CHECK(text_of(dump, "share") == node.share().substr(0, node.share().size() - 1));
    CHECK(dump["files"].Size() == 2);
    CHECK(number_of(dump["index"], "sequence") == last_sequence(dump));
    CHECK(text_of(dump["roles"][0], "state") == (running ? "ready" : "stopped"));
    const Ended filtered = run("dumpstate", {"files", "--path", "*.txt", "--state", node.state()});
    CHECK(filtered.out.find("a.txt") != std::string::npos);
    CHECK(filtered.out.find("b.bin") == std::string::npos);
    if (running) node.stop();
  }
}

TEST_CASE("share: another folder, or an emptied one, in the share's place deletes nothing") {
  Node a;
  Node b;
  a.write("precious", "1");
  a.start({b.spec()});
  b.start({a.spec()});
  REQUIRE(eventually([&] { return b.holds("precious", "1"); }));
  a.stop();
  fs::rename(a.share(), a.state() + ".aside");
  const Ended gone = a.try_start({b.spec()});
  CHECK(gone.code == 1);
  fs::create_directory(a.share());
  const Ended other = a.try_start({b.spec()});
  CHECK(other.code == 1);
  CHECK(other.err.find("marker") != std::string::npos);
  CHECK(a.pids().empty());
  CHECK(b.holds("precious", "1"));
  fs::remove(a.share());
  fs::rename(a.state() + ".aside", a.share());
  a.start({b.spec()});
  fs::remove(a.share(".share.lefting"));
  fs::remove(a.share("precious"));
  CHECK(eventually([&] {
    return a.supervisor({"logs", "scanner"}).out.find("marker") != std::string::npos;
  }));
  CHECK(a.dump()["files"][0].HasMember("blake3"));  // not a tombstone
  CHECK(b.holds("precious", "1"));
}

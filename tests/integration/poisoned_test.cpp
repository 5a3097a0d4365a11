// dumpstate on instances that are stuck, torn or dying: it says so soon, and shows what there is.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>

#include "common/base/os.h"
#include "common/state/layout.h"
#include "common/state/segment.h"
#include "tests/integration/dump_fixture.h"
#include "tests/integration/pty.h"

using namespace lefting;
using namespace lefting::test;

namespace {

/// The segment of a running instance, as its roles have it.
state::Segment segment_of(Node& node) {
  const std::string name = "/proc/" + std::to_string(node.role_pid("scanner")) + "/fd/3";
  auto segment = state::Segment::attach(UniqueFd{::open(name.c_str(), O_RDWR | O_CLOEXEC)});
  REQUIRE(segment.ok());
  return segment.take();
}

/// The guarded parts that a dump reads: tickets are read only where there are some.
std::vector<state::Guard*> guards_of(const state::Segment& segment) {
  state::Layout& layout = segment.layout();
  std::vector<state::Guard*> out = {&layout.peers.guard};
  for (auto& shard : layout.shards) out.push_back(&shard.guard);
  return out;
}

/// A process that does `act` and then sends itself `signal`; killed when this goes.
class Holder {
 public:
  template <class Act>
  Holder(int signal, Act&& act) : pid_{::fork()} {
    if (pid_ == 0) {
      act();
      ::raise(signal);
      ::_exit(0);
    }
    int status = 0;
    retry_eintr([&] { return ::waitpid(pid_, &status, WUNTRACED); });
    if (!WIFSTOPPED(status)) pid_ = 0;
  }
  ~Holder() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    retry_eintr([&] { return ::waitpid(pid_, nullptr, 0); });
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

 private:
  pid_t pid_;
};

void lock_all(const state::Segment& segment) {
  for (state::Guard* guard : guards_of(segment)) {
    guard->mutex.lock();
    guard->dirty.store(1);
  }
}

int supervisor_pid(Node& node) {
  const std::string status = node.supervisor({"status"}).out;
  return std::stoi(status.substr(status.find("pid ") + 4));
}

}  // namespace

TEST_CASE("dumpstate: parts that are dirty and full of garbage are loaded again from the store") {
  Node node;
  const auto paths = fill(node, 200);
  const state::Segment segment = segment_of(node);
  auto* const bytes = reinterpret_cast<unsigned char*>(&segment.layout());
  for (state::ShardControl& shard : segment.layout().shards) {
    shard.guard.mutex.lock();
    shard.guard.dirty.store(1);
    std::memset(bytes + shard.arena.offset, 0xa5, shard.arena.committed.load());
    shard.guard.mutex.unlock();
  }
  for (state::Guard* guard : guards_of(segment)) guard->dirty.store(1);
  const auto dump = node.dump();
  CHECK(listed(dump) == paths);
  CHECK(text_of(dump["roles"][0], "state") == "ready");
  for (state::Guard* guard : guards_of(segment)) CHECK(guard->dirty.load() == 0);
}

TEST_CASE("dumpstate: parts whose holder was killed in the middle of a change are shown whole") {
  Node node;
  const auto paths = fill(node, 200);
  const state::Segment segment = segment_of(node);
  const Holder killed{SIGKILL, [&] { lock_all(segment); }};
  const Ended ended = dumpstate(node, {"--json"});
  CHECK(ended.code == 0);
  CHECK(ended.err.empty());
  CHECK(listed(node.dump()) == paths);
}

TEST_CASE("dumpstate: locks that a stopped program holds cost 2 s, then the store answers") {
  Node node;
  const auto paths = fill(node, 200);
  const state::Segment segment = segment_of(node);
  Ended ended;
  std::chrono::steady_clock::duration passed{};
  {
    const Holder stopped{SIGSTOP, [&] { lock_all(segment); }};
    const auto begin = std::chrono::steady_clock::now();
    ended = dumpstate(node, {"--json"});
    passed = std::chrono::steady_clock::now() - begin;
  }
  CHECK(passed < Seconds{6});
  CHECK(ended.code == 0);
  CHECK(ended.err.find("as the store has it") != std::string::npos);
  rapidjson::Document dump;
  dump.Parse(ended.out.c_str());
  REQUIRE_FALSE(dump.HasParseError());
  CHECK(listed(dump) == paths);
  CHECK(text_of(dump["roles"][0], "state") == "ready");
  // Nobody has noticed.
  CHECK(number_of(node.dump()["roles"][0], "restarts") == 0);
}

TEST_CASE("dumpstate: a supervisor that does not answer is named, and the store shown") {
  Node node;
  const auto paths = fill(node, 20);
  const int pid = supervisor_pid(node);
  send_signal(pid, SIGSTOP);
  const auto begin = std::chrono::steady_clock::now();
  const Ended ended = dumpstate(node, {"files"});
  const auto passed = std::chrono::steady_clock::now() - begin;
  send_signal(pid, SIGCONT);
  CHECK(passed < Seconds{8});
  CHECK(ended.code == 0);
  CHECK(ended.err.find("(pid " + std::to_string(pid) + "): it doesn't answer") !=
        std::string::npos);
  for (const std::string& path : paths) CHECK(ended.out.find(path) != std::string::npos);
  CHECK(text_of(node.dump()["roles"][0], "state") == "ready");
}

TEST_CASE("dumpstate: right after the supervisor was killed, and while the roles leave") {
  Node node;
  const auto paths = fill(node, 200);
  send_signal(supervisor_pid(node), SIGKILL);
  do {
    const Ended ended = dumpstate(node, {"--json"});
    CHECK(ended.code == 0);
    CHECK(ended.err.empty());
    const auto dump = node.dump();
    CHECK(listed(dump) == paths);
    CHECK(text_of(dump["roles"][0], "state") == "stopped");
  } while (!node.pids().empty());
}

TEST_CASE("dumpstate: killed at any point, it leaves nothing that anybody notices") {
  Node node;
  const auto paths = fill(node, 200);
  const state::Segment segment = segment_of(node);
  for (std::size_t bytes = 0; bytes < 20000; bytes += 1000) {
    for (state::Guard* guard : guards_of(segment)) guard->dirty.store(1);
    PtyProgram killed{"dumpstate", {"--json", "--state", node.state()}, 24, 80};
    killed.read_until([&] { return killed.output().size() >= bytes; });
  }
  const auto dump = node.dump();
  CHECK(listed(dump) == paths);
  for (const auto& role : dump["roles"].GetArray()) CHECK(number_of(role, "restarts") == 0);
}

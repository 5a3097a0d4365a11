// Three instances whose wires are cut and whose programs are killed while their users change the
// same paths. At rest all are the same, nothing is lost, and nothing that was removed is back.
//
// LEFTING_SCHEDULES=200 runs so many, LEFTING_SCHEDULE_SEED=7 begins at another. Five run at once.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <future>
#include <memory>

#include "tests/fault/schedules/link.h"
#include "tests/fault/schedules/people.h"
#include "tests/integration/wait.h"

using namespace lefting;
using namespace lefting::test;

namespace {

constexpr std::chrono::seconds kLength{30};
constexpr std::size_t kNodes = 3;

unsigned number_from(const char* variable, unsigned otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

class Schedule {
 public:
  explicit Schedule(unsigned seed) : people_{{&nodes_[0], &nodes_[1], &nodes_[2]}, seed} {
    for (std::size_t to = 0; to < kNodes; ++to) {
      for (auto& from : links_) from[to] = std::make_unique<Link>(nodes_[to].port());
    }
    for (std::size_t i = 0; i < kNodes; ++i) start(i);
  }

  void run() {
    const Deadline end = deadline_in(kLength);
    while (poll_timeout(end) > 0) {
      if (people_.pick(40) == 0) {
        disturb();
      } else {
        people_.change();
      }
      poll_fds({}, static_cast<int>(people_.pick(40)));  // users' pace
    }
    heal();
  }

  /// What is wrong once all is healed; "" for nothing.
  std::string fault() {
    if (!eventually([&] { return is_at_rest(); }, Seconds{90}))
      return "it comes to no rest\n" + state();
    const std::string found = people_.fault();
    return found.empty() ? found : found + "\n" + state();
  }

 private:
  void start(std::size_t i) {
    std::vector<std::string> peers;
    for (std::size_t to = 0; to < kNodes; ++to) {
      if (to == i) continue;
      peers.push_back(nodes_[to].id() + "@127.0.0.1:" + std::to_string(links_[i][to]->port()));
    }
    // A name of a folder takes a large part of so small a share with it.
    std::vector<std::string> more{"--no-brake"};
    if (i == 1) more.insert(more.end(), {"--hash", "sha256"});  // as while a group is upgraded
    const Ended started = nodes_[i].try_start(peers, more);
    up_[i] = started.code == 0;
    if (!up_[i]) throw std::runtime_error{started.err};
  }

  void disturb() {
    const std::size_t i = people_.pick(kNodes);
    const unsigned what = people_.pick(10);
    if (what < 4) {  // one is alone, or one wire is cut, one way or both
      const std::size_t other = (i + 1 + people_.pick(2)) % kNodes;
      for (std::size_t to = 0; to < kNodes; ++to) {
        if (what < 2 && to != other) continue;
        links_[i][to]->cut();
        if (what != 0) links_[to][i]->cut();
      }
      return;
    }
    if (what < 6) return mend_all();
    if (what < 8) {
      static constexpr std::array<const char*, 3> kRoles = {"scanner", "listener", "downloader"};
      const int pid = up_[i] ? nodes_[i].role_pid(kRoles[people_.pick(3)]) : 0;
      if (pid > 0) send_signal(pid, SIGKILL);
      return;
    }
    if (!up_[i]) return start(i);
    if (what == 8) {
      nodes_[i].kill_all();
    } else {
      nodes_[i].supervisor({"stop"});
    }
    up_[i] = false;
  }

  void mend_all() {
    for (auto& from : links_) {
      for (auto& link : from) link->mend();
    }
  }

  void heal() {
    mend_all();
    for (std::size_t i = 0; i < kNodes; ++i) {
      if (!up_[i]) start(i);
    }
  }

  bool is_at_rest() {
    const auto tree = nodes_[0].tree();
    for (Node& node : nodes_) {
      if (node.tree() != tree || !node.dump()["tickets"].Empty()) return false;
    }
    return true;
  }

  std::string state() {
    std::string text;
    for (Node& node : nodes_) {
      text += lefting::test::run("dumpstate", {"--state", node.state()}).out;
      text += lefting::test::run("dumpstate", {"unsynced", "--state", node.state()}).out;
      for (const std::string& path : node.files()) {
        const std::string content = node.read(path);
        text += path + ": " + content.substr(0, content.find('\n')) + "\n";
      }
      text += node.supervisor({"logs", "-n", "200"}).out;
    }
    return text;
  }

  std::array<Node, kNodes> nodes_;
  std::array<std::array<std::unique_ptr<Link>, kNodes>, kNodes> links_;
  std::array<bool, kNodes> up_{};
  People people_;
};

std::string fault_of(unsigned seed) {
  try {
    Schedule schedule{seed};
    schedule.run();
    return schedule.fault();
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("schedules: cut wires, dead programs, and at rest all agree and nothing is lost") {
  const unsigned count = number_from("LEFTING_SCHEDULES", 5);
  const unsigned first = number_from("LEFTING_SCHEDULE_SEED", 1);
  constexpr unsigned kAtOnce = 5;
  for (unsigned done = 0; done < count; done += kAtOnce) {
    std::vector<std::future<std::string>> running;
    for (unsigned i = done; i < std::min(done + kAtOnce, count); ++i) {
      running.push_back(std::async(std::launch::async, fault_of, first + i));
    }
    for (unsigned i = 0; i < running.size(); ++i) {
      const std::string fault = running[i].get();
      CHECK_MESSAGE(fault.empty(), "LEFTING_SCHEDULE_SEED=" << first + done + i << ": " << fault);
    }
  }
}

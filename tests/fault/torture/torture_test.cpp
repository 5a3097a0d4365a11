// Two instances that sync what their users change, while their programs are killed: at any instant,
// and at each fault point (common/state/fault_point.h). Whatever dies, the others don't notice, and
// at rest nothing is lost.
//
// LEFTING_TORTURE_KILLS=10000 and LEFTING_TORTURE_SEED=7 make it long and another one.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <array>
#include <cstdlib>

#include "common/base/clock.h"
#include "common/state/layout.h"
#include "tests/fault/torture/instance_check.h"
#include "tests/fault/torture/killer.h"
#include "tests/fault/torture/users.h"
#include "tests/integration/wait.h"

using namespace lefting;
using namespace lefting::test;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

unsigned number_from(const char* variable, unsigned otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

constexpr unsigned kKillsBetweenRests = 40;
/// Without progress for so long, something hangs.
constexpr milliseconds kStandstill{2000};
constexpr milliseconds kArmed{400};

class Torture {
 public:
  /// Over TLS, or with an even seed over plain TCP.
  explicit Torture(unsigned seed)
      : first_{seed % 2 == 0}, second_{seed % 2 == 0}, users_{first_, second_, seed} {}

  void run(unsigned kills) {
    rest();
    for (unsigned done = 0; done < kills;) {
      Killer& killer = killers_[users_.pick(2)];
      for (unsigned i = users_.pick(6); i > 0; --i) users_.change();
      if (!kill_something(killer)) continue;
      ++done;
      killer.check_recovered();
      if (done % kKillsBetweenRests == 0 || done == kills) rest();
    }
  }

  std::map<std::string, int> deaths() const {
    std::map<std::string, int> sum;
    for (const Killer& killer : killers_) {
      for (const auto& [what, count] : killer.deaths()) sum[what] += count;
    }
    return sum;
  }
  milliseconds slowest_recovery() const {
    return std::max(killers_[0].slowest_recovery(), killers_[1].slowest_recovery());
  }
  milliseconds slowest_rest() const { return slowest_rest_; }

 private:
  bool kill_something(Killer& killer) {
    const unsigned what = users_.pick(100);
    if (what == 0) {
      killer.kill_supervisor();
      return true;
    }
    if (what < 5) return killer.kill_dumpstate(microseconds{users_.pick(15000)});
    if (what < 12) return killer.kill_hello(microseconds{users_.pick(8000)});
    if (what < 40) {
      for (unsigned i = users_.pick(5); i > 0; --i) users_.change();
      poll_fds({}, static_cast<int>(users_.pick(20)));  // an instant like any other
      killer.kill_role(users_.pick(3));
      return true;
    }
    const auto point = static_cast<state::FaultPoint>(1 + users_.pick(state::kFaultPoints - 1));
    prepare(killer, point);
    return killer.kill_at(point, static_cast<int>(1 + users_.pick(4)), kArmed,
                          [this] { users_.change(); });
  }

  /// Some places are only passed after a death, or where much is new.
  void prepare(Killer& killer, state::FaultPoint point) {
    using state::FaultPoint;
    state::Layout& layout = killer.view().attached()->segment.layout();
    if (point == FaultPoint::arena_announced || point == FaultPoint::arena_backed) {
      users_.make_many(100);
      for (auto& shard : layout.shards) shard.guard.stale = 1;
    }
    if (point == FaultPoint::shard_reloading) layout.shards[users_.pick(kShards)].guard.stale = 1;
    if (point == FaultPoint::tickets_reloading) {
      for (auto& shard : layout.tickets) shard.guard.stale = 1;
    }
    if (point == FaultPoint::peers_reloading) layout.peers.guard.stale = 1;
    if (point != FaultPoint::replaying) return;
    // Whose successor replays, and dies of what is armed next.
    killer.kill_at(FaultPoint::records_committed, 1, kArmed, [this] { users_.change(); });
  }

  /// Lets both come to rest, and looks at all they have.
  void rest() {
    std::uint64_t last = 0;
    Deadline standstill = deadline_in(kStandstill);
    const auto begun = std::chrono::steady_clock::now();
    std::string fault;
    while (!(fault = fault_now()).empty()) {
      const std::uint64_t now = progress();
      if (now != last) standstill = deadline_in(kStandstill);
      last = now;
      if (poll_timeout(standstill) == 0) fail(fault);
      poll_fds({}, 20);
    }
    slowest_rest_ = std::max(slowest_rest_, std::chrono::duration_cast<milliseconds>(
                                                std::chrono::steady_clock::now() - begun));
  }

  /// Says all that may tell why it does not come to rest.
  void fail(const std::string& fault) {
    std::string text;
    for (Node* node : {&first_, &second_}) {
      text += lefting::test::run("dumpstate", {"--state", node->state()}).out;
      const std::size_t path = fault.rfind(": ", fault.find(' ', fault.find(": ") + 2)) + 2;
      const std::string about = fault.substr(path, fault.find_first_of(" :", path) - path);
      for (const std::string& one : {about, about + ".conflict*"}) {
        text += lefting::test::run("dumpstate",
                                   {"files", "--json", "--path", one, "--state", node->state()})
                    .out;
      }
      for (const char* program : {"hello", "scanner", "listener", "downloader"}) {
        const std::string log = node->supervisor({"logs", program}).out;
        text += fmt::format("\n{}:\n{}", program,
                            log.substr(log.size() - std::min<std::size_t>(log.size(), 3000)));
      }
    }
    for (Node* node : {&first_, &second_}) {
      text += lefting::test::run("dumpstate", {"unsynced", "--state", node->state()}).out;
    }
    text += fmt::format("at {} ms", wall_ms());
    const bool late = eventually([&] { return fault_now().empty(); }, Seconds{60});
    text += fmt::format(", {} at {} ms\n", late ? "at rest" : "not at rest", wall_ms());
    FAIL_CHECK(text);
    CAPTURE(late);
    FAIL("nothing moves, and it is not at rest: " << fault);
  }

  /// Grows with whatever is done.
  std::uint64_t progress() {
    std::uint64_t sum = 0;
    for (Killer& killer : killers_) {
      sum += killer.view().store().last_sequence();
      sum += state::traffic_words(killer.view().attached()->segment).received.load();
      const auto totals = killer.view().attached()->tickets.totals();
      sum += 1000 * (totals.queued + totals.active + totals.waiting);
    }
    return sum;
  }

  std::string fault_now() {
    for (Node* node : {&first_, &second_}) {
      if (std::string fault = users_.fault_in(*node); !fault.empty())
        return node->state() + ": " + fault;
    }
    if (first_.tree() != second_.tree()) return "the shares differ";
    for (std::size_t i = 0; i < 2; ++i) {
      Node& node = i == 0 ? first_ : second_;
      if (std::string fault = difference(killers_[i].view(), node.share()); !fault.empty()) {
        return node.state() + ": " + fault;
      }
    }
    return "";
  }

  Node first_;
  Node second_;
  std::array<Killer, 2> killers_{Killer{first_, {second_.spec()}, {}},
                                 Killer{second_, {first_.spec()}, {"--hash", "sha256"}}};
  Users users_;
  milliseconds slowest_rest_{0};
};

}  // namespace

TEST_CASE("torture: whatever dies, the others go on, and at rest nothing is lost") {
  const unsigned kills = number_from("LEFTING_TORTURE_KILLS", 150);
  const unsigned seed = number_from("LEFTING_TORTURE_SEED", 1);
  CAPTURE(seed);
  Torture torture{seed};
  torture.run(kills);
  const auto deaths = torture.deaths();
  for (const auto& [where, count] : deaths) fmt::print("{:>6}  {}\n", count, where);
  fmt::print("{} deaths; slowest recovery {} ms, slowest way to rest {} ms\n", kills,
             torture.slowest_recovery().count(), torture.slowest_rest().count());
  if (kills < 2000) return;
  for (const auto name : state::kFaultPointNames) {
    CAPTURE(name);
    if (name != "none") CHECK(deaths.contains(std::string{name}));
  }
}

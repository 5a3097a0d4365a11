#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/state/fault_point.h"
#include "supervisor/view.h"
#include "tests/integration/node.h"

namespace lefting::test {

/// Kills the programs of one instance, and sees to it that nobody else notices.
class Killer {
 public:
  /// `settings`: flags of the node's start.
  Killer(Node& node, std::vector<std::string> peers, std::vector<std::string> settings);

  /// Arms a fault point. True: a program has died there before `limit`; `meanwhile` is called again
  /// and again until then.
  bool kill_at(state::FaultPoint point, int passes, std::chrono::milliseconds limit,
               const std::function<void()>& meanwhile);
  void kill_role(std::size_t role);
  /// A hello and a dumpstate are begun, and killed after so long. False: it ended before.
  bool kill_hello(std::chrono::microseconds life);
  bool kill_dumpstate(std::chrono::microseconds life);
  /// The roles leave when their supervisor is gone; then all is started again.
  void kill_supervisor();

  /// Waits until every role is ready again. Fails where it takes over 2 s, or where another than
  /// the victim was started again.
  void check_recovered();

  supervisor::View& view() { return *view_; }
  const std::map<std::string, int>& deaths() const { return deaths_; }
  std::chrono::milliseconds slowest_recovery() const { return slowest_; }

 private:
  struct RoleNow {
    std::int32_t pid = 0;
    std::uint32_t restarts = 0;
  };
  using Roles = std::array<RoleNow, state::kRoles>;
  Roles roles() const;
  bool all_ready() const;
  void attach();
  void count(const std::string& what) {
    ++deaths_[what];
    ++kills_;
  }

  Node& node_;
  std::vector<std::string> peers_;
  std::vector<std::string> settings_;
  std::unique_ptr<supervisor::View> view_;
  Roles before_;             ///< the roles at the last check
  std::int32_t victim_ = 0;  ///< who died last since then
  std::uint32_t kills_ = 0;  ///< since then
  std::map<std::string, int> deaths_;
  std::chrono::milliseconds slowest_{0};
};

}  // namespace lefting::test

#pragma once

#include <atomic>
#include <list>
#include <string>
#include <thread>

#include "common/base/os.h"
#include "tests/integration/process.h"

namespace lefting::test {

/// A wire to a port on this machine that can be cut: who connects to port() is led there.
class Link {
 public:
  explicit Link(int target);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  int port() const { return port_.port(); }
  /// Ends all connections, and each new one at once, until mend().
  void cut() { set(true); }
  void mend() { set(false); }

 private:
  /// Bytes that came from one side and are not yet sent to the other.
  struct Flow {
    int from = -1;
    int to = -1;
    std::string held;
    bool ended = false;
  };
  struct Pair {
    UniqueFd near;
    UniqueFd far;
    Flow out;
    Flow back;
  };
  void set(bool cut);
  void carry();
  void take_caller();
  static bool move(Flow& flow);

  PortLease port_;
  int target_;
  UniqueFd socket_;
  std::atomic<bool> cut_{false};
  std::atomic<bool> leave_{false};
  EventFd changed_;
  std::list<Pair> pairs_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace lefting::test

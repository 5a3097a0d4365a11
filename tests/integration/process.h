#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"

namespace lefting::test {

struct Ended {
  int code = -1;  ///< exit code, or 128 + signal; -1: it had to be killed at the deadline
  std::string out;
  std::string err;
};

/// Runs one of the project's programs to its end, at most 60 s.
Ended run(const std::string& program, const std::vector<std::string>& arguments);

/// Pids of the processes that have `text` in their command line.
std::vector<int> pids_with(const std::string& text);

/// Sends a signal to a process this test has started; waits until it is gone for SIGKILL.
void send_signal(int pid, int signal);

/// A TCP port on 127.0.0.1 that nobody else takes: below the ephemeral range, and locked against
/// other tests.
class PortLease {
 public:
  PortLease();
  int port() const { return port_; }

 private:
  int port_ = 0;
  UniqueFd lock_;
};

}  // namespace lefting::test

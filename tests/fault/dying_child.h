#pragma once

#include <doctest/doctest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <random>

#include "common/base/os.h"

namespace lefting::test {

/// Instructions that one test may let its children do: each stops twice, at 20 to 60 µs in a
/// virtual machine.
inline constexpr long kInstructions = 25'000;
inline constexpr long kFewestDeaths = 2;
inline constexpr long kMostDeaths = 12;

inline int wait_for(pid_t child) {
  int status = 0;
  REQUIRE(retry_eintr([&] { return ::waitpid(child, &status, 0); }) == child);
  return status;
}

/// A child stopped right before `work`, traced; killed at the latest when this goes.
class TracedChild {
 public:
  explicit TracedChild(const std::function<void()>& work) : child_{::fork()} {
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
      ::raise(SIGSTOP);
      work();
      ::raise(SIGSTOP);
      ::_exit(0);
    }
    REQUIRE_MESSAGE(WIFSTOPPED(wait_for(child_)), "this test needs ptrace of its own children");
  }
  TracedChild(const TracedChild&) = delete;
  TracedChild& operator=(const TracedChild&) = delete;
  ~TracedChild() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  /// One instruction. False: the work is done.
  bool step() {
    REQUIRE(::ptrace(PTRACE_SINGLESTEP, child_, nullptr, nullptr) == 0);
    const int status = wait_for(child_);
    REQUIRE(WIFSTOPPED(status));
    REQUIRE((WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP));
    return WSTOPSIG(status) == SIGTRAP;
  }

 private:
  pid_t child_;
};

inline long instructions_of(const std::function<void()>& work) {
  TracedChild child{work};
  long count = 0;
  while (child.step()) ++count;
  return count;
}

/// Lets children die at places spread over `work`, and calls `check` after each death.
/// `before` makes what the work finds.
inline void die_everywhere(const std::function<void()>& before, const std::function<void()>& work,
                           const std::function<void()>& check) {
  before();
  const long instructions = instructions_of(work);
  const long deaths = std::clamp(2 * kInstructions / instructions, kFewestDeaths, kMostDeaths);
  constexpr unsigned kSeed = 99;
  CAPTURE(kSeed);
  std::mt19937 random{kSeed};
  for (long death = 0; death < deaths; ++death) {
    const long span = instructions / deaths;
    const long point = death * span + static_cast<long>(random()) % span;
    CAPTURE(point);
    CAPTURE(instructions);
    before();
    {
      TracedChild child{work};
      for (long i = 0; i < point; ++i) {
        if (!child.step()) break;
      }
    }
    check();
  }
}

/// Forks `work`, over and over, and kills it so long after its begin.
inline void kill_after(std::chrono::microseconds life, const std::function<void()>& work) {
  const Pipe begun = make_pipe();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::write(begun.write_end.get(), "!", 1) != 1) ::_exit(1);
    for (;;) work();
  }
  char byte = 0;
  REQUIRE(::read(begun.read_end.get(), &byte, 1) == 1);
  const auto end = std::chrono::steady_clock::now() + life;
  while (std::chrono::steady_clock::now() < end) {
  }
  ::kill(child, SIGKILL);
  REQUIRE(WIFSIGNALED(wait_for(child)));
}

}  // namespace lefting::test

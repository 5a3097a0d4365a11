#pragma once

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/os.h"

namespace lefting::bench {

/// A value that the processes forked after it share with their parent. T: words that need no
/// destructor.
template <class T>
class Shared {
 public:
  Shared() {
    void* memory =
        ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    value_ = new (memory) T;
  }
  ~Shared() { ::munmap(value_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* operator->() { return value_; }

 private:
  T* value_;
};

/// Processes that begin together; waited for at the latest when this goes.
class Team {
 public:
  /// Forks a process that does `work` once go() was called, and nothing else.
  void add(const std::function<void()>& work) {
    const pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (gate_->go.load(std::memory_order_acquire) == 0) ::sched_yield();
      run(work);
    }
    members_.push_back(pid);
  }
  void go() { gate_->go.store(1, std::memory_order_release); }
  /// Throws where one of them failed.
  void wait() {
    bool good = true;
    for (const pid_t pid : std::exchange(members_, {})) {
      int status = 0;
      retry_eintr([&] { return ::waitpid(pid, &status, 0); });
      good = good && status == 0;
    }
    if (!good) throw std::runtime_error("a forked process failed");
  }

  Team() = default;
  ~Team() {
    go();
    for (const pid_t pid : members_) retry_eintr([&] { return ::waitpid(pid, nullptr, 0); });
  }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

 private:
  /// The process ends here, whatever happens: what the parent has open is the parent's.
  [[noreturn]] static void run(const std::function<void()>& work) {
    try {
      work();
      ::_exit(0);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "forked process: %s\n", error.what());
    }
    ::_exit(1);
  }

  struct Gate {
    std::atomic<int> go{0};
  };
  Shared<Gate> gate_;
  std::vector<pid_t> members_;
};

}  // namespace lefting::bench

#include "common/state/robust_mutex.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <mutex>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "common/base/os.h"
#include "common/state/guard.h"

using namespace lefting;
using namespace lefting::state;

namespace {

/// One T that a forked child shares.
template <class T>
class Shared {
 public:
  Shared()
      : memory_{
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)} {
    REQUIRE(memory_ != MAP_FAILED);
    new (memory_) T;
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { ::munmap(memory_, sizeof(T)); }
  T& operator*() { return *static_cast<T*>(memory_); }
  T* operator->() { return static_cast<T*>(memory_); }

 private:
  void* memory_;
};

/// Runs `work` in a child that then kills itself.
template <class Work>
void die_after(Work&& work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    work();
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(retry_eintr([&] { return ::waitpid(child, &status, 0); }) == child);
  REQUIRE(WIFSIGNALED(status));
}

}  // namespace

TEST_CASE("RobustMutex: lock and unlock exclude threads from one another") {
  Shared<RobustMutex> mutex;
  int count = 0;
  const auto add = [&] {
    for (int i = 0; i < 20'000; ++i) {
      const std::lock_guard lock{*mutex};
      ++count;
    }
  };
  std::thread other{add};
  add();
  other.join();
  CHECK(count == 40'000);
}

TEST_CASE("RobustMutex: a holder's death frees it, again and again") {
  Shared<RobustMutex> mutex;
  for (int death = 0; death < 5; ++death) {
    CAPTURE(death);
    die_after([&] { mutex->lock(); });
    mutex->lock();
    mutex->unlock();
  }
}

TEST_CASE("RobustMutex: the wait for a living holder has an end") {
  Shared<RobustMutex> mutex;
  mutex->lock();
  std::thread other{[&] {
    const auto begin = std::chrono::steady_clock::now();
    CHECK_THROWS_AS(mutex->lock_within(milliseconds{30}), std::system_error);
    CHECK(std::chrono::steady_clock::now() - begin >= milliseconds{30});
  }};
  other.join();
  mutex->unlock();
  mutex->lock();
  mutex->unlock();
}

TEST_CASE("RobustMutex: who waits gets it when the holder dies") {
  Shared<RobustMutex> mutex;
  const Pipe locked = make_pipe();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    mutex->lock();
    static_cast<void>(::write(locked.write_end.get(), "!", 1));
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(locked.read_end.get(), &byte, 1) == 1);
  CHECK_THROWS_AS(mutex->lock_within(milliseconds{20}), std::system_error);
  std::thread killer{[&] { ::kill(child, SIGKILL); }};
  mutex->lock();
  mutex->unlock();
  killer.join();
  CHECK(::waitpid(child, nullptr, 0) == child);
}

TEST_CASE("GuardLock: a part is reloaded at first, and then only when dirty or stale") {
  Shared<Guard> guard;
  int reloads = 0;
  const auto lock = [&] { const GuardLock held{*guard, [&] { ++reloads; }}; };
  lock();
  lock();
  CHECK(reloads == 1);
  guard->stale.store(1);
  lock();
  lock();
  CHECK(reloads == 2);
}

TEST_CASE("GuardLock: a reload that throws unlocks and leaves the part dirty") {
  Shared<Guard> guard;
  for (int i = 0; i < 3; ++i) {
    const auto lock = [&] { const GuardLock held{*guard, [] { throw std::runtime_error{"no"}; }}; };
    CHECK_THROWS_AS(lock(), std::runtime_error);
    CHECK(guard->dirty.load() == 1);
  }
  const GuardLock held{*guard, [] {}};
  CHECK(guard->dirty.load() == 0);
}

TEST_CASE("GuardLock: a part that is spoilt while it is loaded is loaded again") {
  Shared<Guard> guard;
  int reloads = 0;
  const auto lock = [&] {
    const GuardLock held{*guard, [&] {
                           if (++reloads == 1) guard->stale.store(1);
                         }};
  };
  lock();
  lock();
  lock();
  CHECK(reloads == 2);
}

TEST_CASE("WriteSection: an exception in it or a death leaves the part dirty") {
  Shared<Guard> guard;
  {
    const GuardLock held{*guard, [] {}};
  }
  {
    const WriteSection section{*guard};
    CHECK(guard->dirty.load() == 1);
  }
  CHECK(guard->dirty.load() == 0);
  const auto fail = [&] {
    const WriteSection section{*guard};
    throw std::runtime_error{"no"};
  };
  CHECK_THROWS_AS(fail(), std::runtime_error);
  CHECK(guard->dirty.load() == 1);
  {
    const GuardLock held{*guard, [] {}};
  }
  CHECK(guard->dirty.load() == 0);
  die_after([&] {
    new GuardLock{*guard, [] {}};
    new WriteSection{*guard};
  });
  CHECK(guard->dirty.load() == 1);
}

#include "common/state/robust_mutex.h"

#include <cerrno>
#include <ctime>
#include <system_error>

#include "common/base/assert.h"

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace lefting::state {

namespace {

void check(int code, const char* operation) {
  if (code != 0) throw std::system_error{code, std::generic_category(), operation};
}

/// The attributes of every mutex in the segment.
class Attributes {
 public:
  Attributes() {
    check(::pthread_mutexattr_init(&attributes_), "make mutex attributes");
    ::pthread_mutexattr_setpshared(&attributes_, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes_, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutexattr_settype(&attributes_, PTHREAD_MUTEX_ERRORCHECK);
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  ~Attributes() { ::pthread_mutexattr_destroy(&attributes_); }
  const pthread_mutexattr_t* get() const { return &attributes_; }

 private:
  pthread_mutexattr_t attributes_;
};

timespec monotonic_in(milliseconds wait) {
  timespec at{};
  ::clock_gettime(CLOCK_MONOTONIC, &at);
  const auto nanoseconds =
      at.tv_nsec + std::chrono::duration_cast<std::chrono::nanoseconds>(wait).count();
  at.tv_sec += nanoseconds / 1'000'000'000;
  at.tv_nsec = nanoseconds % 1'000'000'000;
  return at;
}

int lock_until(pthread_mutex_t& mutex, const timespec& at) {
#ifdef __SANITIZE_THREAD__  // GCC 12's TSAN doesn't know pthread_mutex_clocklock
  __tsan_mutex_pre_lock(&mutex, __tsan_mutex_try_lock);
  const int code = ::pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &at);
  const bool got = code == 0 || code == EOWNERDEAD;
  __tsan_mutex_post_lock(
      &mutex, __tsan_mutex_try_lock | (got ? 0u : unsigned{__tsan_mutex_try_lock_failed}), 0);
  return code;
#else
  return ::pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &at);
#endif
}

}  // namespace

RobustMutex::RobustMutex() {
  check(::pthread_mutex_init(&mutex_, Attributes{}.get()), "make a mutex");
}

void RobustMutex::lock_within(milliseconds most) {
  // The clock is asked only where there is something to wait for.
  int code = ::pthread_mutex_trylock(&mutex_);
  if (code == EBUSY) code = lock_until(mutex_, monotonic_in(most));
  if (code == EOWNERDEAD) code = ::pthread_mutex_consistent(&mutex_);
  LEFTING_ASSERT(code != EDEADLK);  // a callback under the lock has come back for it
  check(code, "lock in the segment, held too long by another thread or program");
}

void RobustMutex::unlock() {
  const int code = ::pthread_mutex_unlock(&mutex_);
  LEFTING_ASSERT(code == 0);
}

}  // namespace lefting::state

#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <utility>

#include "common/state/robust_mutex.h"

namespace lefting::state {

/// The lock of one part of the segment, and whether that part can be believed.
///
/// 1. `dirty` is changed only by the holder of the mutex; not 0: a change has begun and not ended.
/// 2. `stale` is set by anybody and cleared by the holder: the store knows better.
/// 3. A part begins dirty, so that its first holder loads it from the store.
struct Guard {
  RobustMutex mutex;
  std::atomic<std::uint32_t> dirty{1};
  std::atomic<std::uint32_t> stale{0};
};

/// A change of a guarded part: dirty while it lasts, and for ever if an exception or the
/// program's death cuts it short. Needs the lock.
class WriteSection {
 public:
  explicit WriteSection(Guard& guard) : guard_{guard}, exceptions_{std::uncaught_exceptions()} {
    guard_.dirty.store(1, std::memory_order_relaxed);
    // What a killed thread has done is seen in its program's order: only the compiler is to be
    // kept from moving the change before the word.
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  WriteSection(const WriteSection&) = delete;
  WriteSection& operator=(const WriteSection&) = delete;
  ~WriteSection() {
    if (std::uncaught_exceptions() > exceptions_) return;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    guard_.dirty.store(0, std::memory_order_relaxed);
  }

 private:
  Guard& guard_;
  int exceptions_;
};

/// Holds a guarded part, whole.
class GuardLock {
 public:
  /// Locks, and calls `reload` if the part can't be believed. What it throws comes out of here,
  /// with the part unlocked and still dirty. Throws std::system_error: see RobustMutex.
  template <class Reload>
  GuardLock(Guard& guard, Reload&& reload) : lock_{guard.mutex} {
    if (guard.dirty.load(std::memory_order_relaxed) == 0 &&
        guard.stale.load(std::memory_order_acquire) == 0) {
      return;
    }
    const WriteSection section{guard};
    guard.stale.store(0, std::memory_order_seq_cst);  // set again while loading: loaded again
    std::forward<Reload>(reload)();
  }

 private:
  std::unique_lock<RobustMutex> lock_;
};

}  // namespace lefting::state

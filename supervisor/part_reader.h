#pragma once

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "common/base/clock.h"
#include "common/state/guard.h"

namespace lefting::supervisor {

/// Reads parts of the segment for somebody who must not wait long for a lock.
class PartReader {
 public:
  /// How long all locks together may be waited for from now on.
  void be_patient(milliseconds most) { left_ = most; }

  /// What `read` gives, which locks the guarded part by itself. Nothing where the lock can't be had
  /// in time or `read` throws: trouble() then says so.
  template <class Read>
  std::optional<std::invoke_result_t<Read>> read(state::Guard& guard, Read&& read) {
    try {
      wait_for(guard.mutex);
      return std::forward<Read>(read)();
    } catch (const std::exception& error) {
      trouble_ = error.what();
      return std::nullopt;
    }
  }

  /// The last thing that went wrong since this was asked last; mostly empty.
  std::string take_trouble() { return std::exchange(trouble_, {}); }

 private:
  /// Takes the lock and gives it back: who reads next waits for the whole time that everybody may.
  void wait_for(state::RobustMutex& mutex) {
    const auto begin = std::chrono::steady_clock::now();
    try {
      mutex.lock_within(left_);
    } catch (...) {
      const auto passed = std::chrono::ceil<milliseconds>(std::chrono::steady_clock::now() - begin);
      left_ -= std::min(left_, passed);
      throw;
    }
    mutex.unlock();
  }

  milliseconds left_{0};
  std::string trouble_;
};

}  // namespace lefting::supervisor

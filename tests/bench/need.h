#pragma once

#include <chrono>
#include <functional>
#include <stdexcept>

#include "common/base/result.h"

namespace lefting::bench {

/// The value, or an exception with the error's text.
template <class T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  return result.take();
}
inline void need(const Status& status) {
  if (!status) throw std::runtime_error(status.error().text());
}

inline double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace lefting::bench

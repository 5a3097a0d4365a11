#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/clock.h"
#include "common/store/file_mark.h"

namespace lefting::supervisor {

/// Something counted in the store, good as long as the store's files stay as they are.
template <class Value>
class Counted {
 public:
  template <class Count>
  const Value& get(const store::FileMark& mark, Count&& count) {
    if (value_ && mark == mark_) return *value_;
    value_ = std::forward<Count>(count)();
    // The stamps are coarse: another change may get the same one as a change of just now.
    constexpr std::int64_t kCoarseMs = 1000;
    const std::int64_t last_ms = std::max(mark.changed_ns, mark.log_changed_ns) / 1'000'000;
    mark_ = last_ms + kCoarseMs < static_cast<std::int64_t>(wall_ms()) ? mark : store::FileMark{};
    return *value_;
  }

 private:
  std::optional<Value> value_;
  store::FileMark mark_;
};

}  // namespace lefting::supervisor

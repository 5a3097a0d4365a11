#pragma once

#include <functional>
#include <string>

#include "common/base/entry.h"
#include "supervisor/view.h"

namespace lefting::supervisor {

/// A version that lost a conflict and was kept under a name of its own.
struct Conflict {
  const Entry& copy;
  std::string original;  ///< the path that was fought for
  std::string device;    ///< of who made the loser: the first 8 characters of its ID
};

/// Calls `emit` for each. Throws StoreError.
void for_each_conflict(View& view, const std::function<void(const Conflict&)>& emit);

}  // namespace lefting::supervisor

#pragma once

#include <functional>
#include <string>

#include "common/base/reason.h"
#include "common/base/result.h"
#include "supervisor/view.h"

namespace lefting::supervisor {

/// A path that is not in sync, and why. Of what is ignored or can't be read it may be a folder,
/// which stands for all that is in it.
struct Unsynced {
  std::string path;
  Reason reason;
};

/// Calls `emit` for each: what has a ticket; what stands in the share and is not recorded so, or
/// never will be; what is recorded and gone. The share is read anew, so it shows what the scanner
/// does not know yet. Needs memory that doesn't grow with the share.
/// Errors: the share can't be opened; tickets were told then. Throws StoreError.
Status for_each_unsynced(View& view, const std::function<void(const Unsynced&)>& emit);

}  // namespace lefting::supervisor

#pragma once

#include <memory>
#include <string>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/settings.h"
#include "common/share/share.h"
#include "common/store/store.h"

namespace lefting::supervisor {

/// What is known of an instance before its store is opened.
struct Past {
  bool rebuild = false;     ///< the user gives the index up
  bool goes_on = false;     ///< its store is there and an instance has been started on it
  bool started = false;     ///< it was started before, whatever became of its store
  bool same_share = false;  ///< and that with the same share
};

struct BegunIndex {
  std::unique_ptr<store::Store> store;
  std::string note;  ///< for people: what became of an index that was here before; or empty
};

/// Where a rebuild has set the old store aside and died: puts the new one, which is whole, into its
/// place.
Status finish_rebuild(const InstancePaths& paths);

/// Opens the store that an instance is to run on and settles who its index is: the one that was
/// here, the device's first, or the successor of one that was lost or given up, which never takes
/// what it doesn't know for a deletion or a newer version (sync/writer.h). A store that is given
/// up is set aside under another name, and its peers are taken over.
///
/// Errors: the share looks unmounted, so that an index made of it would be one of nothing; the old
/// store can't be set aside. Then nothing was changed. Throws StoreError.
Result<BegunIndex> begin_index(const InstancePaths& paths, const share::Share& share,
                               const DeviceId& device, const Past& past);

}  // namespace lefting::supervisor

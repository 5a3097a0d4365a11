#pragma once

#include <string>

#include "common/base/os.h"
#include "common/base/result.h"
#include "common/base/settings.h"
#include "common/base/unique_fd.h"
#include "common/role/role.h"
#include "common/state/segment.h"

namespace lefting::supervisor {

/// An instance that is ready for its roles.
struct Prepared {
  InstancePaths paths;
  Settings settings;     ///< share absolute, name and listening address as they really are
  std::string programs;  ///< the folder of Lefting's programs
  std::string device;
  UniqueFd lock;
  state::Segment segment;
  UniqueFd listening;
  UniqueFd control;
  Wakes wakes;
  std::string note;  ///< what became of an index that was here before; or empty
};

/// Makes all that the roles need: folder, lock, log, key, store, share, segment, sockets. With
/// `rebuild` the store is a new one and the old one is set aside.
/// Nothing that it makes keeps a later start from working. Errors say what to do.
/// Throws StoreError, std::system_error.
Result<Prepared> prepare_instance(const InstancePaths& paths, Settings settings, bool rebuild);

/// What the instance was last started with, as far as its tools want to know it: share, listen,
/// name, plain. Kept in DIR/last.toml, since flags are nowhere else.
Settings last_settings(const InstancePaths& paths);

}  // namespace lefting::supervisor

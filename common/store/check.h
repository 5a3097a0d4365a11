#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/entry.h"

namespace lefting::store {

/// Looks at a store before an instance starts on it: its files, all that is small in it, and the
/// ends of what is large; a small store whole. What is damaged beyond that, the roles find when
/// they read it. Nothing in it is changed. Missing or of no length: it is new.
///
/// Returns   whether an instance has been started on it.
/// Throws    StoreError: what is wrong, and what to do.
bool check_store(const std::string& path);

/// What can be had of a store that is given up. Nothing where it can't be read.
struct Salvage {
  std::optional<bool> had_files;
  std::optional<std::vector<Peer>> peers;  ///< without what was said to them and by them
};
Salvage salvage(const std::string& path);

}  // namespace lefting::store

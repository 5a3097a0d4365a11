#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/shard.h"

namespace lefting::state {

/// A path to look for, hashed once: the top 6 bits say which shard, the lower ones which bucket in
/// a table.
struct PathKey {
  std::string_view path;
  std::uint64_t hash;
};
inline PathKey path_key(std::string_view path) { return {path, path_hash(path)}; }

}  // namespace lefting::state

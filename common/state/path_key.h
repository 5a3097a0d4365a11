#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lefting::state {

/// XXH3-64 of a path: the top 6 bits say which shard, the lower ones which bucket in a table.
std::uint64_t path_hash(std::string_view path);

/// shard_of() of the path with that hash.
constexpr std::size_t shard_of_hash(std::uint64_t hash) { return hash >> 58; }

/// A path to look for, hashed once.
struct PathKey {
  std::string_view path;
  std::uint64_t hash;
};
inline PathKey path_key(std::string_view path) { return {path, path_hash(path)}; }

}  // namespace lefting::state

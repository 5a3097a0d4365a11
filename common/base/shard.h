#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lefting {

/// Into how many parts the file dictionary is cut, in the segment and in the store.
inline constexpr std::size_t kShards = 64;

/// XXH3-64 of a path's bytes. The store keeps it, so this never changes without a new store
/// version.
std::uint64_t path_hash(std::string_view path);

/// shard_of() of the path with that hash.
constexpr std::size_t shard_of_hash(std::uint64_t hash) { return hash >> 58; }

/// The shard that `path` lives in, 0 to kShards-1: XXH3-64 of its bytes, the top 6 bits. The store
/// keeps it as a column, so this never changes without a new store version.
std::size_t shard_of(std::string_view path);

}  // namespace lefting

#include "common/base/shard.h"

#include <xxhash.h>

namespace lefting {

std::uint64_t path_hash(std::string_view path) { return XXH3_64bits(path.data(), path.size()); }

std::size_t shard_of(std::string_view path) { return shard_of_hash(path_hash(path)); }

}  // namespace lefting

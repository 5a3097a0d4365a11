#include "common/base/shard.h"

#include <xxhash.h>

namespace lefting {

std::size_t shard_of(std::string_view path) {
  return static_cast<std::size_t>(XXH3_64bits(path.data(), path.size()) >> 58);
}

}  // namespace lefting

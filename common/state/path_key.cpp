#include "common/state/path_key.h"

#include <xxhash.h>

namespace lefting::state {

std::uint64_t path_hash(std::string_view path) { return XXH3_64bits(path.data(), path.size()); }

}  // namespace lefting::state

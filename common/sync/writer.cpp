#include "common/sync/writer.h"

#include <algorithm>
#include <span>
#include <string>

#include "common/base/ids.h"
#include "common/share/hash.h"

namespace lefting::sync {

ShortId successor_writer(const DeviceId& device, IndexId index, std::string_view occasion) {
  const std::string id = index_text(index);
  share::Hasher hasher{HashKind::sha256};
  hasher.add(std::as_bytes(std::span{device.bytes}));
  hasher.add(std::as_bytes(std::span{id}));
  hasher.add(std::as_bytes(std::span{occasion}));
  return short_id(DeviceId{hasher.finish().bytes});
}

VersionVector adopted_version(ShortId writer, std::int64_t mtime_ns, std::uint64_t now_ms) {
  const std::int64_t latest = static_cast<std::int64_t>(std::max<std::uint64_t>(now_ms, 1));
  const std::int64_t age = std::clamp<std::int64_t>(mtime_ns / 1'000'000, 1, latest);
  return {{writer, static_cast<std::uint64_t>(age)}};
}

}  // namespace lefting::sync

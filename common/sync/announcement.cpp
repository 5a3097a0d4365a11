#include "common/sync/announcement.h"

#include <fmt/core.h>

#include <span>
#include <string>

#include "common/share/hash.h"

namespace lefting::sync {

bool is_announcement(const Entry& entry) {
  return !entry.hash && !entry.deleted && !entry.version.empty();
}

bool is_announced(const Entry& announced, const Entry& now) {
  return now.version == announced.version && now.size == announced.size &&
         now.mtime_ns == announced.mtime_ns;
}

ContentHash announced_content(std::string_view path, const VersionCounter& stamp) {
  const std::string text = fmt::format("{} {} {}", to_text(stamp.device), stamp.counter, path);
  return share::hash_bytes(std::as_bytes(std::span{text}), HashKind::sha256);
}

}  // namespace lefting::sync

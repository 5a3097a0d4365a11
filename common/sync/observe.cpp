#include "common/sync/observe.h"

#include <algorithm>

#include "common/sync/version.h"
#include "common/sync/writer.h"

namespace lefting::sync {

namespace {

VersionVector next_version(const VersionVector& known, const Finder& finder) {
  // Where this writer is not in it, what it has said of the path may be forgotten, and must not
  // seem to be newer, even by a clock that was set back.
  const bool is_in =
      std::ranges::find(known, finder.writer, &VersionCounter::device) != known.end();
  return bump(known, finder.writer,
              is_in ? finder.now_ms : std::max(finder.now_ms, finder.forgotten));
}

VersionVector next_version(const Record* known, std::int64_t mtime_ns, const Finder& finder) {
  if (known != nullptr) return next_version(known->entry.version, finder);
  if (finder.adopter) return adopted_version(*finder.adopter, mtime_ns, finder.now_ms);
  return next_version(VersionVector{}, finder);
}

}  // namespace

HashKinds kinds_to_record(const Record* known, std::uint64_t size, HashKind kind) {
  HashKinds kinds = HashKinds::only(kind);
  if (known != nullptr && known->entry.size == size) kinds.add(known->entry.hash);
  return kinds;
}

ContentHash recorded_hash(const ContentHashes& hashes, const Record* known, HashKind kind) {
  if (known != nullptr && hashes.has(known->entry.hash)) return *known->entry.hash;
  if (hashes.of(kind)) return *hashes.of(kind);
  return hashes.sha256 ? *hashes.sha256 : *hashes.blake3;
}

Record found_file(const Record* known, const std::string& path, const share::FileStat& stat,
                  const std::optional<ContentHash>& hash, const Finder& finder) {
  Record made;
  made.entry = {.path = path,
                .size = stat.size,
                .mtime_ns = stat.mtime_ns,
                .mode = stat.mode,
                .hash = hash,
                .version = known != nullptr ? known->entry.version : VersionVector{},
                .deleted = false};
  made.ctime_ns = stat.ctime_ns;
  made.inode = stat.inode;
  const bool is_news = known == nullptr || made.entry != known->entry;
  if (is_news) made.entry.version = next_version(known, stat.mtime_ns, finder);
  return made;
}

std::optional<Record> found_missing(const Record* known, const Finder& finder) {
  if (known == nullptr || known->entry.deleted) return std::nullopt;
  Record gone;
  gone.entry = {.path = known->entry.path,
                .size = 0,
                .mtime_ns = static_cast<std::int64_t>(finder.now_ms) * 1'000'000,
                .mode = known->entry.mode,
                .hash = std::nullopt,
                .version = next_version(known->entry.version, finder),
                .deleted = true};
  return gone;
}

}  // namespace lefting::sync

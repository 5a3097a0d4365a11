#pragma once

#include <string>

#include "common/base/entry.h"

namespace lefting::test {

inline ShortId device(char letter) { return *parse_short_id(std::string(8, letter)); }

inline ContentHash hash_of(int content, HashKind kind = HashKind::blake3) {
  ContentHash hash{.kind = kind};
  hash.bytes.fill(static_cast<std::uint8_t>(content));
  return hash;
}

/// A live entry whose content is told by one number.
inline Entry entry(const std::string& path, int content, VersionVector version) {
  return {.path = path,
          .size = static_cast<std::uint64_t>(content) + 1,
          .mtime_ns = 1'700'000'000'000'000'000 + content,
          .mode = 0644,
          .hash = hash_of(content),
          .version = std::move(version),
          .deleted = false};
}

inline Entry tombstone(const std::string& path, VersionVector version) {
  return {.path = path,
          .size = 0,
          .mtime_ns = 1'700'000'001'000'000'000,
          .mode = 0644,
          .hash = std::nullopt,
          .version = std::move(version),
          .deleted = true};
}

}  // namespace lefting::test

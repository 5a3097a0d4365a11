#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/entry.h"
#include "common/store/sqlite.h"

namespace lefting::store {

/// Beyond what sequences and tickets are ever counted to.
inline constexpr std::int64_t kMaxNumber = std::int64_t{1} << 62;

/// How values stand in columns. A version vector is a blob: 16 bytes for each device, its 8
/// characters and its counter, big-endian, in their order.
std::string encode_version(const VersionVector& version);
VersionVector decode_version(std::string_view blob);

// What reads rows throws StoreError where they hold what no program of ours has written.

std::array<std::uint8_t, 32> read_device(const Statement& row, int column);

/// A SHA-256 is a blob of 32 bytes; a BLAKE3 has one more, of the value 1. It lies in `hash`.
std::span<const std::uint8_t> hash_blob(const ContentHash& hash);
ContentHash read_hash(const Statement& row, int column);

/// A ticket's former wishes: for each its size, mtime, mode and flags (8 bytes each, big-endian),
/// hash (32 bytes), the length of its version and that.
std::string encode_wishes(const std::vector<Entry>& wishes);
/// The wishes have no path: it is the ticket's.
std::vector<Entry> decode_wishes(std::string_view blob);

/// 49 bytes for each: hash, its kind, size, mtime, both big-endian. What is no basis is none: they
/// are a hint.
std::string encode_bases(const std::vector<Basis>& bases);
std::vector<Basis> decode_bases(std::string_view blob);

/// Binds size, mtime, mode, deleted, hash, version at `first` and after. Both must live until the
/// statement is reset.
void bind_entry(Statement& statement, int first, const Entry& entry,
                const std::string& version_blob);
/// Reads the same columns, and `path` before them.
Entry read_entry(const Statement& statement, int first);

}  // namespace lefting::store

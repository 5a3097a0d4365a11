#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/content_hash.h"
#include "common/base/ids.h"

namespace lefting {

/// What every JSON reader takes for an integer.
inline constexpr std::uint64_t kMaxCounter = (std::uint64_t{1} << 53) - 1;

/// One device's counter in a version vector; 1 to kMaxCounter.
struct VersionCounter {
  ShortId device;
  std::uint64_t counter = 0;
  auto operator<=>(const VersionCounter&) const = default;
};

/// Which changes a version contains. Sorted by device, each device at most once; empty: unknown.
using VersionVector = std::vector<VersionCounter>;

/// What peers tell each other of one path. Source: docs/PROTOCOL.md, "File entry".
struct Entry {
  std::string path;  ///< relative to the share, '/' between components, any bytes but NUL
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::uint32_t mode = 0644;  ///< permission bits, 0 to 0777
  std::optional<ContentHash> hash;
  VersionVector version;
  bool deleted = false;  ///< a tombstone; size is 0
  bool operator==(const Entry&) const = default;
};

/// What is known here of one path: the entry, and what only this machine needs.
struct Record {
  Entry entry;
  std::uint64_t sequence = 0;  ///< when it last changed here, in this index's order
  std::int64_t ctime_ns = 0;   ///< as lstat saw it last: with inode, tells an edit that kept mtime
  std::uint64_t inode = 0;
  /// Of a tombstone that all peers had, and that is told to nobody any more: it has no sequence.
  bool is_trace() const { return sequence == 0; }
  bool operator==(const Record&) const = default;
};

/// A wish to have one version of one file.
struct Ticket {
  std::uint64_t id = 0;  ///< order of arrival; a newer wish for the same path has a new id
  Entry wanted;
  std::uint64_t sources = 0;  ///< bit S: the peer in slot S has it
  /// Told before it was hashed, outside the index: the index tells the same once more, or it never
  /// came to be.
  bool announced = false;
  std::vector<std::uint8_t> done;  ///< bit B (of byte B/8, lowest first): block B is in the partial
  /// What tickets before this one wanted of the path, oldest first; without a path.
  /// The downloader may have died after it had put one of them in place: then it is no edit.
  std::vector<Entry> former;
  bool operator==(const Ticket&) const = default;
};

/// A content of which another one can be made, most likely: they have blocks in common.
struct Basis {
  ContentHash hash;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;  ///< of a file that had it
  bool operator==(const Basis&) const = default;
};

/// Most bases that are named of a content.
inline constexpr std::size_t kMostBases = 4;

/// Of which blocks a content consists.
struct Manifest {
  std::string blocks = {};        ///< encoded (share/cut.h); empty: it is not cut
  std::vector<Basis> bases = {};  ///< the likeliest first
  bool operator==(const Manifest&) const = default;
};

/// Which of a peer's offers are forgotten: files only, where the peer stays. A deletion needs
/// nobody, and the peer may have only a trace of it by now, which it doesn't tell.
enum class Offers { files, all };

constexpr bool has_bit(const std::vector<std::uint8_t>& bits, std::uint64_t at) {
  return at / 8 < bits.size() && (bits[at / 8] >> (at % 8) & 1) != 0;
}

inline void set_bit(std::vector<std::uint8_t>& bits, std::uint64_t at) {
  bits[at / 8] = static_cast<std::uint8_t>(bits[at / 8] | 1u << (at % 8));
}

inline void clear_bit(std::vector<std::uint8_t>& bits, std::uint64_t at) {
  bits[at / 8] = static_cast<std::uint8_t>(bits[at / 8] & ~(1u << (at % 8)));
}

/// Most former wishes that a ticket keeps.
inline constexpr std::size_t kMostFormer = 32;

/// Most peers an instance knows: a ticket's sources are a 64-bit word.
inline constexpr int kMaxPeers = 64;

/// The size of the blocks by which is recorded what of a ticket's file is here, in bytes: 1 MiB,
/// and more for files beyond 16 GiB, so that a ticket's record stays small.
constexpr std::uint64_t block_bytes(std::uint64_t size_bytes) {
  std::uint64_t block = 1u << 20;
  while (block < (16u << 20) && size_bytes / block > 16384) block *= 2;
  return block;
}
constexpr std::uint64_t block_count(std::uint64_t size_bytes) {
  const std::uint64_t block = block_bytes(size_bytes);
  return (size_bytes + block - 1) / block;
}

/// Another machine that runs Lefting, as the peer list has it.
struct Peer {
  int slot = -1;                   ///< 0 to kMaxPeers-1
  std::optional<DeviceId> device;  ///< unknown for a plain peer that has not said hello yet
  std::string name;                ///< for people, as the peer said it
  std::string address;             ///< HOST:PORT to reach it; empty: it must come to us
  bool learned = false;            ///< the address came in a greeting: a later one replaces it
  bool zstd = false;               ///< it takes compressed lists
  IndexId index = 0;               ///< of its index, as last heard
  std::uint64_t seen = 0;          ///< last of its changes that are safely stored here
  std::uint64_t told = 0;          ///< last of our changes that it said it has stored
  // Both go back where a list is to be heard anew. The furthest that they ever were, of that index:
  std::uint64_t most_seen = 0;
  std::uint64_t most_told = 0;
  bool operator==(const Peer&) const = default;
};

}  // namespace lefting

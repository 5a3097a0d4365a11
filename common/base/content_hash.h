#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lefting {

/// How a content's hash is made. Source: docs/PROTOCOL.md, "File entry".
enum class HashKind : std::uint8_t { sha256, blake3 };

/// A hash of a file's content: proves it. Hashes of two kinds say nothing of one another.
struct ContentHash {
  std::array<std::uint8_t, 32> bytes{};
  HashKind kind = HashKind::sha256;
  auto operator<=>(const ContentHash&) const = default;
};

/// Which kinds are wanted.
struct HashKinds {
  bool sha256 = false;
  bool blake3 = false;

  void add(const std::optional<ContentHash>& hash) {
    if (hash) (hash->kind == HashKind::sha256 ? sha256 : blake3) = true;
  }
  static constexpr HashKinds both() { return {true, true}; }
  static constexpr HashKinds only(HashKind kind) {
    return {kind == HashKind::sha256, kind == HashKind::blake3};
  }
};

/// One content's hashes, of the kinds that were made.
struct ContentHashes {
  std::optional<ContentHash> sha256 = {};
  std::optional<ContentHash> blake3 = {};

  const std::optional<ContentHash>& of(HashKind kind) const {
    return kind == HashKind::sha256 ? sha256 : blake3;
  }
  bool covers(HashKinds kinds) const {
    return (sha256 || !kinds.sha256) && (blake3 || !kinds.blake3);
  }
  /// True if one of that kind was made, and is `hash`.
  bool has(const std::optional<ContentHash>& hash) const { return hash && of(hash->kind) == hash; }
};
ContentHashes hashes_with(const ContentHash& hash);

std::string to_text(const ContentHash& hash);  ///< 64 lower-case hex digits
std::optional<ContentHash> parse_content_hash(std::string_view text, HashKind kind);

std::string_view to_text(HashKind kind);  ///< "sha256", "blake3"
std::optional<HashKind> parse_hash_kind(std::string_view text);

}  // namespace lefting

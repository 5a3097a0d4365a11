#include "common/base/content_hash.h"

#include "common/base/ids.h"

namespace lefting {

ContentHashes hashes_with(const ContentHash& hash) {
  ContentHashes hashes;
  (hash.kind == HashKind::sha256 ? hashes.sha256 : hashes.blake3) = hash;
  return hashes;
}

std::string to_text(const ContentHash& hash) { return to_hex(hash.bytes); }

std::optional<ContentHash> parse_content_hash(std::string_view text, HashKind kind) {
  ContentHash hash{.kind = kind};
  if (text.size() != 2 * hash.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < hash.bytes.size(); ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    hash.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return hash;
}

std::string_view to_text(HashKind kind) { return kind == HashKind::sha256 ? "sha256" : "blake3"; }

std::optional<HashKind> parse_hash_kind(std::string_view text) {
  for (const HashKind kind : {HashKind::sha256, HashKind::blake3}) {
    if (text == to_text(kind)) return kind;
  }
  return std::nullopt;
}

}  // namespace lefting

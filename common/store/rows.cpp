#include "common/store/rows.h"

#include <algorithm>

namespace lefting::store {

namespace {

void append_number(std::string& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xff);
}

std::uint64_t read_number(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes.substr(0, 8)) value = (value << 8) | static_cast<std::uint8_t>(c);
  return value;
}

}  // namespace

std::string encode_version(const VersionVector& version) {
  std::string out;
  for (const VersionCounter& one : version) {
    append_number(out, one.device.packed);
    append_number(out, one.counter);
  }
  return out;
}

VersionVector decode_version(std::string_view blob) {
  VersionVector version;
  for (; blob.size() >= 16; blob.remove_prefix(16)) {
    version.push_back({ShortId{read_number(blob)}, read_number(blob.substr(8))});
  }
  return version;
}

void bind_entry(Statement& statement, int first, const Entry& entry,
                const std::string& version_blob) {
  statement.bind(first, entry.size);
  statement.bind(first + 1, entry.mtime_ns);
  statement.bind(first + 2, std::uint64_t{entry.mode});
  statement.bind(first + 3, std::uint64_t{entry.deleted});
  if (entry.hash) {
    statement.bind_blob(first + 4, entry.hash->bytes);
  } else {
    statement.bind_null(first + 4);
  }
  statement.bind_blob(first + 5, version_blob);
}

Entry read_entry(const Statement& statement, int first) {
  Entry entry;
  entry.path = statement.blob(first);
  entry.size = statement.number(first + 1);
  entry.mtime_ns = statement.signed_number(first + 2);
  entry.mode = static_cast<std::uint32_t>(statement.number(first + 3));
  entry.deleted = statement.number(first + 4) != 0;
  const std::string_view hash = statement.blob(first + 5);
  if (hash.size() == 32) {
    entry.hash.emplace();
    std::copy(hash.begin(), hash.end(), entry.hash->bytes.begin());
  }
  entry.version = decode_version(statement.blob(first + 6));
  return entry;
}

}  // namespace lefting::store

#include "common/store/rows.h"

#include <algorithm>

namespace lefting::store {

namespace {

// Beside a former wish's mode: it was a deletion; its hash is a BLAKE3.
constexpr std::uint64_t kDeletedWish = std::uint64_t{1} << 32;
constexpr std::uint64_t kBlake3Wish = std::uint64_t{1} << 33;

constexpr std::size_t kHashBytes = 32;
static_assert(sizeof(ContentHash) == kHashBytes + 1 && HashKind::blake3 == HashKind{1});

void append_number(std::string& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xff);
}

std::uint64_t read_number(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes.substr(0, 8)) value = (value << 8) | static_cast<std::uint8_t>(c);
  return value;
}

constexpr std::size_t kMaxPathBytes = 4096;

/// As parse_short_id has it; a store is read row by row, so this is quick.
bool is_base32(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7'); });
}

/// False: no path in a share can be like that.
bool is_sound_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPathBytes || path.find('\0') != path.npos) return false;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view component = path.substr(begin, end - begin);
    if (component.empty() || component == "." || component == "..") return false;
    begin = end + 1;
  }
  return true;
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
    const ShortId device{read_number(blob)};
    const std::uint64_t counter = read_number(blob.substr(8));
    const bool rises = version.empty() || version.back().device < device;
    if (!is_base32(blob.substr(0, 8)) || !rises || counter == 0 || counter > kMaxCounter) break;
    version.push_back({device, counter});
  }
  if (!blob.empty()) throw_damaged("a row has no sound version");
  return version;
}

std::array<std::uint8_t, 32> read_device(const Statement& row, int column) {
  std::array<std::uint8_t, 32> out{};
  const std::string_view bytes = row.blob(column);
  if (bytes.size() != out.size()) throw_damaged("a row has no sound device");
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

std::span<const std::uint8_t> hash_blob(const ContentHash& hash) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(&hash);
  return {first, kHashBytes + (hash.kind == HashKind::blake3 ? 1 : 0)};
}

ContentHash read_hash(const Statement& row, int column) {
  ContentHash hash;
  std::string_view bytes = row.blob(column);
  if (bytes.size() == kHashBytes + 1 && bytes.back() == 1) {
    hash.kind = HashKind::blake3;
    bytes.remove_suffix(1);
  }
  if (bytes.size() != kHashBytes) throw_damaged("a row has no sound hash");
  std::copy(bytes.begin(), bytes.end(), hash.bytes.begin());
  return hash;
}

std::string encode_wishes(const std::vector<Entry>& wishes) {
  std::string out;
  for (const Entry& wish : wishes) {
    if (!wish.hash && !wish.deleted) continue;
    const std::string version = encode_version(wish.version);
    append_number(out, wish.size);
    append_number(out, static_cast<std::uint64_t>(wish.mtime_ns));
    const ContentHash hash = wish.hash.value_or(ContentHash{});
    const bool is_blake3 = hash.kind == HashKind::blake3;
    append_number(out,
                  wish.mode | (wish.deleted ? kDeletedWish : 0) | (is_blake3 ? kBlake3Wish : 0));
    out.append(hash.bytes.begin(), hash.bytes.end());
    append_number(out, version.size());
    out += version;
  }
  return out;
}

std::vector<Entry> decode_wishes(std::string_view blob) {
  constexpr std::size_t kFixedBytes = 64;
  std::vector<Entry> wishes;
  while (blob.size() >= kFixedBytes) {
    Entry wish;
    wish.size = read_number(blob);
    wish.mtime_ns = static_cast<std::int64_t>(read_number(blob.substr(8)));
    const std::uint64_t mode = read_number(blob.substr(16));
    wish.mode = static_cast<std::uint32_t>(mode);
    wish.deleted = (mode & kDeletedWish) != 0;
    if (!wish.deleted) {
      wish.hash.emplace();
      std::copy_n(blob.begin() + 24, kHashBytes, wish.hash->bytes.begin());
      if ((mode & kBlake3Wish) != 0) wish.hash->kind = HashKind::blake3;
    }
    const std::uint64_t version_bytes = read_number(blob.substr(56));
    blob.remove_prefix(kFixedBytes);
    if (version_bytes > blob.size()) throw_damaged("a ticket's former wishes are cut off");
    wish.version = decode_version(blob.substr(0, version_bytes));
    blob.remove_prefix(version_bytes);
    wishes.push_back(std::move(wish));
  }
  if (!blob.empty()) throw_damaged("a ticket's former wishes are cut off");
  return wishes;
}

std::string encode_bases(const std::vector<Basis>& bases) {
  std::string out;
  for (const Basis& basis : bases) {
    out.append(basis.hash.bytes.begin(), basis.hash.bytes.end());
    out += static_cast<char>(basis.hash.kind);
    append_number(out, basis.size);
    append_number(out, static_cast<std::uint64_t>(basis.mtime_ns));
  }
  return out;
}

std::vector<Basis> decode_bases(std::string_view blob) {
  constexpr std::size_t kBasisBytes = kHashBytes + 1 + 16;
  std::vector<Basis> bases;
  for (; blob.size() >= kBasisBytes; blob.remove_prefix(kBasisBytes)) {
    Basis& basis = bases.emplace_back();
    std::copy_n(blob.begin(), kHashBytes, basis.hash.bytes.begin());
    if (blob[kHashBytes] != 0) basis.hash.kind = HashKind::blake3;
    basis.size = read_number(blob.substr(kHashBytes + 1));
    basis.mtime_ns = static_cast<std::int64_t>(read_number(blob.substr(kHashBytes + 9)));
  }
  return bases;
}

void bind_entry(Statement& statement, int first, const Entry& entry,
                const std::string& version_blob) {
  statement.bind(first, entry.size);
  statement.bind(first + 1, entry.mtime_ns);
  statement.bind(first + 2, std::uint64_t{entry.mode});
  statement.bind(first + 3, std::uint64_t{entry.deleted});
  if (entry.hash) {
    statement.bind_blob(first + 4, hash_blob(*entry.hash));
  } else {
    statement.bind_null(first + 4);
  }
  statement.bind_blob(first + 5, version_blob);
}

Entry read_entry(const Statement& statement, int first) {
  Entry entry;
  entry.path = statement.blob(first);
  if (!is_sound_path(entry.path)) throw_damaged("a row has no sound path");
  entry.size = static_cast<std::uint64_t>(statement.integer(first + 1, 0, INT64_MAX));
  entry.mtime_ns = statement.integer(first + 2, INT64_MIN, INT64_MAX);
  entry.mode = static_cast<std::uint32_t>(statement.integer(first + 3, 0, 0777));
  entry.deleted = statement.integer(first + 4, 0, 1) != 0;
  if (!statement.is_null(first + 5)) entry.hash = read_hash(statement, first + 5);
  entry.version = decode_version(statement.blob(first + 6));
  return entry;
}

}  // namespace lefting::store

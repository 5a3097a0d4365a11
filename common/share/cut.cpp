#include "common/share/cut.h"

#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "common/base/os.h"

namespace lefting::share {

namespace {

/// A file is cut by several threads in pieces of at least so many bytes.
constexpr std::uint64_t kPieceBytes = 16u << 20;
constexpr std::size_t kBufferBytes = 4u << 20;

/// Bits of the rolling hash that must be 0 at a block's end: more before the usual length than
/// after it, so that most blocks are near it (FastCDC). The high bits depend on the last 64 bytes.
constexpr std::uint64_t high_bits(int count) { return ~std::uint64_t{0} << (64 - count); }
constexpr std::uint64_t kStrict = high_bits(20);
constexpr std::uint64_t kLenient = high_bits(16);
constexpr std::size_t kWindow = 64;

/// A random number for each byte (splitmix64): part of the rule.
constexpr std::array<std::uint64_t, 256> make_gear() {
  std::array<std::uint64_t, 256> gear{};
  std::uint64_t state = 0x4c656674696e6721;
  for (std::uint64_t& one : gear) {
    state += 0x9e3779b97f4a7c15;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    one = z ^ (z >> 31);
  }
  return gear;
}
constexpr std::array<std::uint64_t, 256> kGear = make_gear();

/// The blocks from one place of a file on.
class BlockReader {
 public:
  BlockReader(int fd, std::uint64_t at, std::uint64_t size_bytes)
      : fd_{fd}, at_{at}, size_{size_bytes}, buffer_(kBufferBytes) {}

  std::uint64_t at() const { return at_; }

  Result<Block> next(const std::function<bool()>& beat) {
    if (end_ - begin_ < kMostBlock && at_ + (end_ - begin_) < size_) {
      if (!beat()) return os_error(ECANCELED, "cut");
      if (auto filled = fill(); !filled) return filled.error();
    }
    const std::span<const std::byte> rest{buffer_.data() + begin_, end_ - begin_};
    const std::size_t length = block_length(rest.first(std::min(rest.size(), kMostBlock)));
    const Block block{static_cast<std::uint32_t>(length), block_hash(rest.first(length))};
    begin_ += length;
    at_ += length;
    return block;
  }

 private:
  Status fill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    const std::uint64_t from = at_ + end_;
    const auto room = std::min<std::uint64_t>(buffer_.size() - end_, size_ - from);
    const auto came = pread_all(fd_, {buffer_.data() + end_, room}, from);
    if (!came) return came.error();
    if (came.value() != room) return os_error(EIO, "cut");
    end_ += room;
    return {};
  }

  int fd_;
  std::uint64_t at_;
  std::uint64_t size_;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Where a sketch looks.
constexpr std::uint64_t kWindowBytes = 4u << 20;
constexpr std::uint64_t kLeastStep = 256u << 20;
constexpr std::uint64_t kMostSteps = 32;
constexpr std::size_t kBlocksAWindow = 4;

/// Places that don't depend on the size, but for the one at the end and for how many there are.
std::vector<std::uint64_t> windows_of(std::uint64_t size_bytes) {
  std::uint64_t step = kLeastStep;
  while (size_bytes / step > kMostSteps) step *= 2;
  std::vector<std::uint64_t> windows;
  for (std::uint64_t at = 0; at + 2 * kWindowBytes <= size_bytes; at += step) windows.push_back(at);
  windows.push_back(size_bytes - std::min(size_bytes, kWindowBytes));
  return windows;
}

std::uint64_t beginning_of(const BlockHash& hash) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < sizeof out; ++i) out = out << 8 | hash[i];
  return out;
}

/// The blocks from `from` to the first that ends at `to` or behind it.
struct Piece {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::vector<Block> blocks;
  Status status;

  std::uint64_t end() const {
    std::uint64_t at = from;
    for (const Block& block : blocks) at += block.length;
    return at;
  }
};

void cut_piece(int fd, std::uint64_t size_bytes, Piece& piece, const std::function<bool()>& beat) {
  BlockReader reader{fd, piece.from, size_bytes};
  while (reader.at() < piece.to) {
    const auto block = reader.next(beat);
    if (!block) {
      piece.status = block.error();
      return;
    }
    piece.blocks.push_back(block.value());
  }
}

/// Appends the blocks from `at` to the end of the piece, or beyond, and moves `at` there. The piece
/// began where no block may begin: after a few blocks its cuts are those of all the file.
Status join(int fd, std::uint64_t size_bytes, std::vector<Block>& blocks, std::uint64_t& at,
            const Piece& next, const std::function<bool()>& beat) {
  BlockReader reader{fd, at, size_bytes};
  std::uint64_t cut = next.from;
  auto rest = next.blocks.begin();
  while (reader.at() < next.to) {
    while (rest != next.blocks.end() && cut < reader.at()) cut += (rest++)->length;
    if (cut == reader.at()) break;
    const auto block = reader.next(beat);
    if (!block) return block.error();
    blocks.push_back(block.value());
  }
  at = reader.at();
  if (cut != at) return {};
  blocks.insert(blocks.end(), rest, next.blocks.end());
  at = next.end();
  return {};
}

}  // namespace

std::size_t block_length(std::span<const std::byte> bytes) {
  if (bytes.size() <= kLeastBlock) return bytes.size();
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const std::size_t usual = std::min(bytes.size(), kUsualBlock);
  std::uint64_t hash = 0;
  std::size_t at = kLeastBlock - kWindow;
  for (; at < kLeastBlock; ++at) hash = (hash << 1) + kGear[data[at]];
  for (; at < usual; ++at) {
    hash = (hash << 1) + kGear[data[at]];
    if ((hash & kStrict) == 0) return at + 1;
  }
  for (; at < bytes.size(); ++at) {
    hash = (hash << 1) + kGear[data[at]];
    if ((hash & kLenient) == 0) return at + 1;
  }
  return bytes.size();
}

BlockHash block_hash(std::span<const std::byte> bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  BlockHash out;
  std::copy(std::begin(canonical.digest), std::end(canonical.digest), out.begin());
  return out;
}

Result<std::vector<Block>> cut_file(int fd, std::uint64_t size_bytes, std::size_t threads,
                                    const std::function<bool()>& beat) {
  const auto count = std::clamp<std::uint64_t>(size_bytes / kPieceBytes, 1, threads);
  std::vector<Piece> pieces(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    pieces[i].from = size_bytes / count * i;
    pieces[i].to = i + 1 == count ? size_bytes : size_bytes / count * (i + 1);
  }
  {
    std::vector<std::jthread> helpers;
    for (std::uint64_t i = 1; i < count; ++i) {
      helpers.emplace_back([&, i] { cut_piece(fd, size_bytes, pieces[i], beat); });
    }
    cut_piece(fd, size_bytes, pieces[0], beat);
  }
  std::vector<Block> blocks;
  std::uint64_t at = 0;
  for (const Piece& piece : pieces) {
    if (!piece.status) return piece.status.error();
    if (auto joined = join(fd, size_bytes, blocks, at, piece, beat); !joined) return joined.error();
  }
  return blocks;
}

Result<Sketch> sketch_file(int fd, std::uint64_t size_bytes, const std::function<bool()>& beat) {
  Sketch sketch;
  for (const std::uint64_t from : windows_of(size_bytes)) {
    const std::uint64_t to = std::min(size_bytes, from + kWindowBytes);
    BlockReader reader{fd, from, to};
    std::vector<std::uint64_t> found;
    while (reader.at() < to) {
      const bool begins = from == 0 || reader.at() != from;  // elsewhere a block may not begin
      const auto block = reader.next(beat);
      if (!block) return block.error();
      const bool ends = reader.at() < to || to == size_bytes;
      // One that is as long as can be says little: zeros, most likely.
      const bool is_telling = block.value().length < kMostBlock;
      if (begins && ends && is_telling) found.push_back(beginning_of(block.value().hash));
    }
    std::ranges::sort(found);
    found.resize(std::min(found.size(), kBlocksAWindow));
    sketch.insert(sketch.end(), found.begin(), found.end());
  }
  std::ranges::sort(sketch);
  const auto twice = std::ranges::unique(sketch);
  sketch.erase(twice.begin(), twice.end());
  return sketch;
}

std::string encode_blocks(std::span<const Block> blocks) {
  std::string out;
  out.reserve(blocks.size() * kEncodedBlock);
  for (const Block& block : blocks) {
    for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(block.length >> shift & 0xff);
    out.append(block.hash.begin(), block.hash.end());
  }
  return out;
}

std::optional<std::vector<Block>> decode_blocks(std::string_view bytes) {
  if (bytes.size() % kEncodedBlock != 0) return std::nullopt;
  std::vector<Block> blocks(bytes.size() / kEncodedBlock);
  for (Block& block : blocks) {
    for (int i = 0; i < 4; ++i) {
      block.length =
          block.length << 8 | static_cast<std::uint8_t>(bytes[static_cast<std::size_t>(i)]);
    }
    if (block.length == 0) return std::nullopt;
    std::memcpy(block.hash.data(), bytes.data() + 4, block.hash.size());
    bytes.remove_prefix(kEncodedBlock);
  }
  return blocks;
}

}  // namespace lefting::share

#include "common/store/wal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/os.h"
#include "common/base/unique_fd.h"

namespace lefting::store {

namespace {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kFrameHeaderBytes = 24;
constexpr std::uint32_t kMagic = 0x377f0682;  // the last bit set: checksums of big-endian words

std::uint32_t big_endian(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (const std::byte b : bytes.first(4)) value = value << 8 | std::to_integer<std::uint32_t>(b);
  return value;
}

std::uint32_t little_endian(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  return value;
}

struct Sum {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  bool operator==(const Sum&) const = default;
};

Sum stored_sum(std::span<const std::byte> bytes) {
  return {big_endian(bytes), big_endian(bytes.subspan(4))};
}

Sum add(Sum sum, std::span<const std::byte> bytes, bool big) {
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    const auto rest = bytes.subspan(4);
    sum.first += (big ? big_endian(bytes) : little_endian(bytes)) + sum.second;
    sum.second += (big ? big_endian(rest) : little_endian(rest)) + sum.first;
  }
  return sum;
}

bool is_sound_page_size(std::uint32_t bytes) {
  return bytes >= 512 && bytes <= 65536 && (bytes & (bytes - 1)) == 0;
}

/// Walks the frames of a log whose header is sound. Each carries the sum of all before it.
bool has_commit_after_fault(int fd, std::span<const std::byte> header, std::uint64_t end) {
  const bool big = (big_endian(header) & 1) != 0;
  const std::size_t page_bytes = big_endian(header.subspan(8));
  const auto salts = header.subspan(16, 8);
  std::vector<std::byte> frame(kFrameHeaderBytes + page_bytes);
  Sum before = stored_sum(header.subspan(24));
  bool fault = false;
  for (std::uint64_t at = kHeaderBytes; at + frame.size() <= end; at += frame.size()) {
    const auto came = pread_all(fd, frame, at);
    if (!came || came.value() < frame.size()) return fault;
    const std::span<const std::byte> bytes{frame};
    const Sum stored = stored_sum(bytes.subspan(16));
    const bool ours = std::equal(salts.begin(), salts.end(), bytes.begin() + 8);
    const Sum sum = add(add(before, bytes.first(8), big), bytes.subspan(kFrameHeaderBytes), big);
    const bool sound = ours && sum == stored;
    // What a dead program had not committed carries no commit, and older frames have other salts.
    if (fault && sound && big_endian(bytes.subspan(4)) != 0) return true;
    fault |= !sound;
    before = stored;
  }
  return false;
}

}  // namespace

bool is_wal_garbled(const std::string& path) {
  const UniqueFd fd{::open((path + "-wal").c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || status.st_size == 0) return false;
  std::array<std::byte, kHeaderBytes> header{};
  const auto came = pread_all(fd.get(), header, 0);
  if (!came || came.value() < header.size()) return true;
  const std::span<const std::byte> bytes{header};
  const bool big = (big_endian(bytes) & 1) != 0;
  if ((big_endian(bytes) & ~1U) != kMagic || !is_sound_page_size(big_endian(bytes.subspan(8))) ||
      add({}, bytes.first(24), big) != stored_sum(bytes.subspan(24))) {
    return true;
  }
  return has_commit_after_fault(fd.get(), bytes, static_cast<std::uint64_t>(status.st_size));
}

}  // namespace lefting::store

#include "common/state/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <boost/version.hpp>
#include <cerrno>
#include <initializer_list>
#include <new>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "common/base/os.h"
#include "common/state/layout.h"
#include "common/state/shard_table.h"
#include "common/state/ticket_table.h"

namespace lefting::state {

namespace bip = boost::interprocess;

struct Segment::Mapping {
  /// Throws bip::interprocess_exception. Boost opens the file once more, and not close-on-exec:
  /// that descriptor lives no longer than this call.
  Mapping(int fd, std::size_t size)
      : region{bip::file_mapping{("/proc/self/fd/" + std::to_string(fd)).c_str(), bip::read_write},
               bip::read_write,
               0,
               size,
               nullptr,
               MAP_NORESERVE} {}

  bip::mapped_region region;
};

namespace {

static_assert(std::is_trivially_copyable_v<Preamble> && sizeof(Preamble) <= kPageBytes);
static_assert(sizeof(Layout) % kPageBytes == 0);

/// FNV-1a over what two builds must agree on to use one segment.
constexpr std::uint64_t layout_hash() {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::uint64_t part :
       std::initializer_list<std::uint64_t>{kLayoutVersion,
                                            BOOST_VERSION,
                                            sizeof(Layout),
                                            sizeof(Preamble),
                                            sizeof(RoleSlot),
                                            sizeof(Inflight),
                                            sizeof(ScanWords),
                                            sizeof(TrafficWords),
                                            sizeof(Guard),
                                            sizeof(ArenaControl),
                                            sizeof(PeerSlot),
                                            sizeof(PeerControl),
                                            sizeof(ShardControl),
                                            sizeof(TicketControl),
                                            offsetof(Layout, role_inflight),
                                            offsetof(Layout, hello_inflight),
                                            offsetof(Layout, scan),
                                            offsetof(Layout, traffic),
                                            offsetof(Layout, fault),
                                            offsetof(Layout, peers),
                                            offsetof(Layout, shards),
                                            offsetof(Layout, tickets),
                                            sizeof(RecordData),
                                            sizeof(RecordNode),
                                            sizeof(ShardTable),
                                            sizeof(TicketData),
                                            sizeof(TicketNode),
                                            sizeof(TicketTable),
                                            kShards,
                                            kMaxPeers}) {
    hash = (hash ^ part) * 0x100000001b3;
  }
  return hash;
}

[[noreturn]] void fail(int code, const char* operation) {
  throw std::system_error{code, std::generic_category(), operation};
}

std::uint64_t new_generation() {
  std::uint64_t value = 0;
  while (value == 0) {
    if (retry_eintr([&] { return ::getrandom(&value, sizeof value, 0); }) != sizeof value) {
      fail(errno, "choose the segment's generation");
    }
  }
  return value;
}

constexpr std::uint64_t whole_pages(std::uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

/// Address space is free: no arena is to be full while there is memory for it.
std::uint64_t arena_stride(std::uint64_t limit_bytes) {
  return std::max(whole_pages(limit_bytes / 8), kFirstArenaBytes);
}

std::uint64_t segment_bytes(std::uint64_t limit_bytes) {
  return sizeof(Layout) + 2 * kShards * arena_stride(limit_bytes);
}

UniqueFd make_memfd(std::uint64_t size_bytes) {
  UniqueFd fd{::memfd_create("lefting-segment", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!fd) fail(errno, "make the segment");
  if (::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0) {
    fail(errno, "size the segment");
  }
  // Nobody can cut off what another has mapped.
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    fail(errno, "seal the segment");
  }
  const int code = ::posix_fallocate(fd.get(), 0, sizeof(Layout));
  if (code != 0) fail(code, "get memory for the segment");
  return fd;
}

/// Gives each arena its place and its first memory, so that it can always be begun anew.
void cut_arenas(Layout& layout, int fd, std::uint64_t limit_bytes) {
  std::uint64_t offset = sizeof(Layout);
  const auto cut = [&](ArenaControl& arena) {
    arena.offset = offset;
    arena.stride = arena_stride(limit_bytes);
    offset += arena.stride;
    const int code = ::posix_fallocate(fd, static_cast<off_t>(arena.offset), kFirstArenaBytes);
    if (code != 0) fail(code, "get memory for the segment");
    arena.committed.store(kFirstArenaBytes);
  };
  for (ShardControl& shard : layout.shards) cut(shard.arena);
  for (TicketControl& shard : layout.tickets) cut(shard.arena);
}

Error refuse(std::string message) {
  return plain_error("attach to the segment", std::move(message),
                     "restart the supervisor and all programs from one build");
}

/// Says what is wrong with a descriptor before anything of it is mapped.
Result<Preamble> check_preamble(int fd) {
  Preamble found;
  struct stat status {};
  if (::fstat(fd, &status) != 0) return os_error(errno, "attach to the segment");
  const auto bytes = std::as_writable_bytes(std::span{&found, 1});
  const Result<std::size_t> have = pread_all(fd, bytes, 0);
  if (!have.ok() || have.value() < sizeof found || found.magic != kSegmentMagic) {
    return refuse("not a segment");
  }
  if (found.version != kLayoutVersion) {
    return refuse("its layout is version " + std::to_string(found.version) + ", ours " +
                  std::to_string(kLayoutVersion));
  }
  if (found.layout_hash != layout_hash()) return refuse("its layout is another build's");
  if (found.state != SegmentState::ready) return refuse("it is not ready");
  if (static_cast<std::uint64_t>(status.st_size) != found.size_bytes ||
      found.size_bytes != segment_bytes(found.limit_bytes)) {
    return refuse("it was cut short");
  }
  return found;
}

}  // namespace

Segment::Segment(UniqueFd fd, std::unique_ptr<Mapping> mapping)
    : fd_{std::move(fd)},
      mapping_{std::move(mapping)},
      layout_{static_cast<Layout*>(mapping_->region.get_address())} {}

Segment::Segment(Segment&&) noexcept = default;
Segment& Segment::operator=(Segment&&) noexcept = default;
Segment::~Segment() = default;

Segment Segment::create(std::size_t limit_bytes) {
  const std::uint64_t size = segment_bytes(limit_bytes);
  UniqueFd fd = make_memfd(size);
  std::unique_ptr<Mapping> mapping;
  try {
    mapping = std::make_unique<Mapping>(fd.get(), size);
  } catch (const bip::interprocess_exception& error) {
    fail(error.get_native_error(), "map the segment");
  }
  Layout& layout = *new (mapping->region.get_address()) Layout;
  cut_arenas(layout, fd.get(), limit_bytes);
  layout.preamble = {.magic = kSegmentMagic,
                     .version = kLayoutVersion,
                     .layout_hash = layout_hash(),
                     .generation = new_generation(),
                     .size_bytes = size,
                     .limit_bytes = limit_bytes};
  std::atomic_ref{layout.preamble.state}.store(SegmentState::ready, std::memory_order_release);
  return Segment{std::move(fd), std::move(mapping)};
}

Result<Segment> Segment::attach(UniqueFd memfd) {
  const Result<Preamble> preamble = check_preamble(memfd.get());
  if (!preamble.ok()) return preamble.error();
  try {
    auto mapping = std::make_unique<Mapping>(memfd.get(), preamble.value().size_bytes);
    return Segment{std::move(memfd), std::move(mapping)};
  } catch (const bip::interprocess_exception& error) {
    return os_error(error.get_native_error(), "map the segment");
  }
}

Generation Segment::generation() const { return {layout_->preamble.generation}; }

std::size_t Segment::size_bytes() const { return layout_->preamble.size_bytes; }

std::size_t Segment::used_bytes() const { return sizeof(Layout) + committed_bytes(*layout_); }

}  // namespace lefting::state

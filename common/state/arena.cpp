#include "common/state/arena.h"

#include <fcntl.h>

#include <algorithm>
#include <boost/interprocess/indexes/null_index.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/offset_ptr.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>
#include <cerrno>

#include "common/base/os.h"

namespace lefting::state {

namespace {

namespace bip = boost::interprocess;

// No locks of Boost's own: they stay locked, or broken, for ever when their holder is killed.
using Heap = bip::basic_managed_external_buffer<
    char, bip::rbtree_best_fit<bip::null_mutex_family, bip::offset_ptr<void>, 8>, bip::null_index>;

constexpr std::uint64_t kStepBytes = 16 << 10;
/// Room for what the heap adds to an allocation, generously.
constexpr std::uint64_t kHeapExtraBytes = 256;

constexpr std::uint64_t whole_pages(std::uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

Error no_room() {
  return plain_error("grow the segment", "its limit is reached",
                     "raise segment_limit_mib and restart");
}

}  // namespace

std::byte* Arena::begin() const {
  return reinterpret_cast<std::byte*>(&segment_.layout()) + control_.offset;
}

void Arena::set_root(const void* root) {
  control_.root = static_cast<std::uint64_t>(static_cast<const std::byte*>(root) - begin());
}

Status Arena::back(std::uint64_t from, std::uint64_t to) {
  int code = EINTR;
  while (code == EINTR) {
    code = ::posix_fallocate(segment_.fd(), static_cast<off_t>(control_.offset + from),
                             static_cast<off_t>(to - from));
  }
  if (code == 0) return {};
  return os_error(code, "grow the segment", {}, "free memory, or lower segment_limit_mib");
}

Status Arena::commit(std::uint64_t more_bytes) {
  const std::uint64_t before = control_.committed.load();
  if (more_bytes > control_.stride - before) return no_room();
  // Announced first, then added up: of two that grow at once both may be refused, but never both
  // let in. Whoever dies here leaves its shard dirty, and reset() takes back what was announced.
  control_.committed.store(before + more_bytes);
  fault_point(FaultPoint::arena_announced);
  Status done = no_room();
  if (committed_bytes(segment_.layout()) <= segment_.layout().preamble.limit_bytes) {
    done = back(before, before + more_bytes);
  }
  if (!done.ok()) control_.committed.store(before);
  return done;
}

Status Arena::grow(std::uint64_t need_bytes) {
  const std::uint64_t committed = control_.committed.load();
  const std::uint64_t need = whole_pages(need_bytes + kHeapExtraBytes);
  const std::uint64_t step = whole_pages(std::max(kStepBytes, committed / 16));
  const std::uint64_t more = std::max(need, std::min(step, control_.stride - committed));
  if (Status done = commit(more); !done.ok()) return done;
  fault_point(FaultPoint::arena_backed);
  Heap{bip::open_only, begin(), committed}.grow(more);
  return {};
}

Result<void*> Arena::allocate(std::size_t bytes) {
  if (bytes > control_.stride) return no_room();
  Heap heap{bip::open_only, begin(), control_.committed.load()};
  if (void* memory = heap.allocate(bytes, std::nothrow)) return memory;
  if (Status done = grow(bytes); !done.ok()) return done.error();
  if (void* memory = heap.allocate(bytes, std::nothrow)) return memory;
  return no_room();
}

void Arena::free(void* memory) {
  Heap{bip::open_only, begin(), control_.committed.load()}.deallocate(memory);
}

std::uint64_t Arena::free_bytes() const {
  return Heap{bip::open_only, begin(), control_.committed.load()}.get_free_memory();
}

void Arena::give_back(std::uint64_t from, std::uint64_t to) {
  // Refused or interrupted: the memory stays, uncounted, until the arena grows over it again.
  static_cast<void>(retry_eintr([&] {
    return ::fallocate(segment_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       static_cast<off_t>(control_.offset + from), static_cast<off_t>(to - from));
  }));
}

void Arena::reset() {
  const std::uint64_t committed = control_.committed.load();
  if (committed > kFirstArenaBytes) give_back(kFirstArenaBytes, committed);
  control_.committed.store(kFirstArenaBytes);
  Heap{bip::create_only, begin(), kFirstArenaBytes};
}

}  // namespace lefting::state

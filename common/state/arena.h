#pragma once

#include <cstddef>

#include "common/base/result.h"
#include "common/state/layout.h"
#include "common/state/segment.h"

namespace lefting::state {

/// A heap of its own in a piece of the segment, backed by memory as far as it was needed.
/// A handle: cheap to make, of no use without the lock that guards the piece, taken for writing.
class Arena {
 public:
  Arena(Segment& segment, ArenaControl& control) : segment_{segment}, control_{control} {}

  /// `bytes` aligned to 8, not initialised.
  /// Errors: the segment's limit is reached or memory is refused; nothing is changed then.
  Result<void*> allocate(std::size_t bytes);
  void free(void* memory);
  /// Of the memory that it has.
  std::uint64_t free_bytes() const;
  void fault_point(FaultPoint point) { state::fault_point(segment_.layout(), point); }

  /// Makes the heap new and empty, with its first memory only: what was in it is gone, and what
  /// it had of memory goes back to the system.
  void reset();

  /// The one thing by which its owner finds all others.
  void set_root(const void* root);
  void* root() const { return begin() + control_.root; }

 private:
  std::byte* begin() const;
  Status commit(std::uint64_t more_bytes);
  Status grow(std::uint64_t need_bytes);
  Status back(std::uint64_t from, std::uint64_t to);
  void give_back(std::uint64_t from, std::uint64_t to);

  Segment& segment_;
  ArenaControl& control_;
};

}  // namespace lefting::state

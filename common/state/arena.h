#pragma once

#include <cstddef>
#include <new>
#include <string>

#include "common/base/result.h"
#include "common/state/layout.h"
#include "common/state/segment.h"

namespace lefting::state {

/// What the store has doesn't fit into the segment.
class OutOfRoom : public std::bad_alloc {
 public:
  explicit OutOfRoom(const Error& error) : text_{error.text()} {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

/// A heap of its own in a piece of the segment, backed by memory as far as it was needed.
/// A handle: cheap to make, of no use without the lock that guards the piece, taken for writing.
class Arena {
 public:
  Arena(Segment& segment, ArenaControl& control) : segment_{segment}, control_{control} {}

  /// `bytes` aligned to 8, not initialised.
  /// Errors: the segment's limit is reached or memory is refused; nothing is changed then.
  Result<void*> allocate(std::size_t bytes);
  void free(void* memory);

  /// Makes the heap new and empty. What was in it is gone; the memory stays with the arena.
  /// Errors: as allocate().
  Status reset();

  /// The one thing by which its owner finds all others.
  void set_root(const void* root);
  void* root() const { return begin() + control_.root; }

 private:
  std::byte* begin() const;
  Status commit(std::uint64_t more_bytes);
  Status grow(std::uint64_t need_bytes);
  Status back(std::uint64_t from, std::uint64_t to);

  Segment& segment_;
  ArenaControl& control_;
};

}  // namespace lefting::state

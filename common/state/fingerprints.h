#pragma once

#include <boost/interprocess/offset_ptr.hpp>
#include <cstdint>

#include "common/base/result.h"
#include "common/state/arena.h"

namespace lefting::state {

/// A set of path hashes, 4 bytes of each: enough to say "perhaps" or "surely not". It only grows,
/// until its shard is loaded again. Needs the shard's lock; insert() a WriteSection.
class Fingerprints {
 public:
  bool may_contain(std::uint64_t hash) const;
  /// Errors: as Arena::allocate; the set is as before then.
  Status insert(Arena& arena, std::uint64_t hash);
  std::size_t bytes() const { return capacity_ * sizeof(std::uint32_t); }

 private:
  Status grow(Arena& arena);

  boost::interprocess::offset_ptr<std::uint32_t> slots_;  ///< open addressing; 0: free
  std::uint32_t capacity_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace lefting::state

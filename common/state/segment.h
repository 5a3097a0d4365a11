#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace lefting::state {

struct Layout;  // layout.h: what lies in the segment

/// Tells one making of the segment from the next.
struct Generation {
  std::uint64_t value = 0;
  bool operator==(const Generation&) const = default;
};

/// The map that the programs of one instance share: an anonymous memfd, sparse up to its limit.
///
/// Made by the supervisor before any role starts; the others get the descriptor and attach.
/// Everything in it begins dirty, so that whoever first locks a part loads it from the store.
class Segment {
 public:
  /// Makes a segment whose shards and tickets together may have `limit_bytes` of memory.
  /// Throws std::system_error (no memory, no descriptor).
  static Segment create(std::size_t limit_bytes);
  /// Maps one that is there. Errors: not a segment, another layout, not ready; the error says
  /// which.
  static Result<Segment> attach(UniqueFd memfd);

  Segment(Segment&&) noexcept;
  Segment& operator=(Segment&&) noexcept;
  ~Segment();

  int fd() const { return fd_.get(); }
  Generation generation() const;
  std::size_t size_bytes() const;  ///< address space, mostly never backed
  std::size_t used_bytes() const;  ///< memory that is backed now
  Layout& layout() const { return *layout_; }

 private:
  struct Mapping;
  Segment(UniqueFd fd, std::unique_ptr<Mapping> mapping);
  UniqueFd fd_;
  std::unique_ptr<Mapping> mapping_;
  Layout* layout_ = nullptr;
};

}  // namespace lefting::state

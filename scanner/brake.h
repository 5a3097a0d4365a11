#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"

namespace lefting::scanner {

/// Holds back deletions that look like a mishap: many at once, and a large part of the share.
/// Decides by what it is told, and does no I/O. One thread.
///
/// Few deletions go after a moment. More are gathered until none has come for a second, so that
/// they are seen as one.
class Brake {
 public:
  /// `enabled`: the user wants it; else nothing is ever held.
  explicit Brake(bool enabled) : enabled_{enabled} {}

  /// Nothing stands at that recorded path any more.
  void add(std::string path, Deadline now);
  /// Something does, or it is not recorded.
  void remove(const std::string& path) { gone_.erase(path); }
  /// What is gone is found anew.
  void clear() { gone_.clear(); }

  /// When take() has something to say; Deadline::max() while there is nothing.
  Deadline due() const;
  /// The paths whose deletion is to be recorded now: all that are gone, or none.
  /// `files`  how many there are in the share, the gone ones included.
  /// `whole`  a traversal has just seen the whole share, so there is nothing to wait for.
  std::vector<std::string> take(std::uint64_t files, bool whole, Deadline now);

  /// What is gone when it is taken next is meant so.
  void approve() { approved_ = true; }
  /// All that is gone, which is given up.
  std::vector<std::string> give_up();
  bool is_empty() const { return gone_.empty(); }
  /// How many deletions are held back; 0: none.
  std::uint64_t held() const { return holds_ ? gone_.size() : 0; }

 private:
  bool enabled_;
  std::set<std::string> gone_;
  Deadline due_ = Deadline::max();
  Deadline first_{};      ///< when the first of `gone_` went
  Deadline burst_end_{};  ///< until then deletions count as one burst
  std::uint64_t burst_ = 0;
  bool holds_ = false;
  bool approved_ = false;
};

}  // namespace lefting::scanner

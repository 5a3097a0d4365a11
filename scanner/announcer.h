#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>

#include "common/role/role.h"
#include "scanner/large_files.h"

namespace lefting::scanner {

/// Tells the peers of a large file before its hash is known. Any thread may call any function.
class Announcer {
 public:
  /// Tells them of a version of which only the hash is not known yet.
  using Tell = std::function<void(const Entry&)>;

  Announcer(Instance& instance, Tell tell);

  /// Not where the peers may need less: they have a file, perhaps, that this is a copy of. Nor what
  /// changes all the time. Of what `cuts`, since they have something to make it of, they need the
  /// blocks, which are known before the hash only if it is read twice: not where that costs the
  /// disk.
  bool is_worth(const LargeFiles::Wish& wish);
  /// `manifest` is kept for who asks for it, where the file is cut.
  void announce(const Entry& entry, const Manifest& manifest);

  /// It could be read, while nobody changed it; or it is gone.
  void note_settled(const std::string& path);
  /// It changed while it was read.
  void note_unsettled(const std::string& path);

 private:
  bool may_be_copy(const LargeFiles::Wish& wish);
  bool is_unsettled(const std::string& path);

  Instance& instance_;
  Tell tell_;
  std::mutex mutex_;
  std::set<std::string> unsettled_;  ///< guarded by mutex_
};

}  // namespace lefting::scanner

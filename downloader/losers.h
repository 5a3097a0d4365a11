#pragma once

#include <string>

#include "common/role/role.h"
#include "common/share/share.h"
#include "common/sync/copy.h"
#include "downloader/job.h"

namespace lefting::downloader {

/// The losers of conflicts: each gets a second name before the winner takes its path.
class Losers {
 public:
  Losers(Instance& instance, const share::Share& share);

  /// Gives the loser, which stands as `stat` says, its second name, unless the copy is there or was
  /// removed on purpose. `stat` is then what it says afterwards.
  Status keep(Job& job, const Record& loser, share::FileStat& stat) const;
  /// The copy that a predecessor made of what is recorded: since it was, the loss of its other name
  /// has changed its ctime, and nobody tells the scanner of that.
  void find_kept(Job& job) const;
  /// The copy that was kept, as it stands now, is to be recorded; or not, where it was touched.
  void look_at_kept(Job& job) const;

 private:
  Status record_copy(Job& job, sync::Copy copy, const share::FileStat& stat) const;

  Instance& instance_;
  const share::Share& share_;
};

}  // namespace lefting::downloader

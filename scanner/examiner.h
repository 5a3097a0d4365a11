#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/role/role.h"
#include "common/share/ignore.h"
#include "common/share/share.h"
#include "common/sync/observe.h"
#include "common/sync/plan.h"
#include "scanner/announcer.h"
#include "scanner/large_files.h"
#include "scanner/moves.h"
#include "scanner/recorder.h"

namespace lefting::scanner {

/// Looks closely at paths that seem changed, and hashes them: the Recorder records what it finds.
/// Hashing is spread over threads; the rest belongs to the scanner's thread.
class Examiner {
 public:
  /// `rules` of what is not to be synced; all must outlive it. `tell` is called by any thread,
  /// while look() runs.
  Examiner(RoleContext& context, const share::Share& share, const share::IgnoreRules& rules,
           Announcer::Tell tell);

  /// Looks at all of `paths`. Returns a finding for each.
  std::vector<Finding> look(const std::vector<std::string>& paths, const Moves& moves);

  LargeFiles& large_files() { return large_files_; }

  /// True while a file that is not recorded may be older than this index.
  bool is_adopting() const { return adopter_.has_value(); }
  /// Of what is found without a record; for each adoption under a name of its own, so that it is
  /// concurrent with all that this index has said of it before.
  void begin_adoption();
  void end_adoption();

 private:
  /// What a file holds, or why it could not be read.
  struct Content {
    Result<ContentHashes> hashes{ContentHashes{}};
    Manifest manifest = {};
    std::optional<share::Sketch> sketch = {};
    std::uint64_t now_ms =
        wall_ms();  ///< of what was announced, of that instant: it is recorded so
    bool announced = false;
  };

  bool leave_placed(const std::string& path, const share::FileStat& stat, const Record* known,
                    const ContentHashes& hashes);
  Finding unreadable(const std::string& path, const Error& error);
  /// It could be read, while nobody changed it; or it is gone.
  void note_readable(const std::string& path);
  Finding look_at(const std::string& path, const Moves& moves);
  Finding look_at_ignored(const std::string& path) const;
  Finding look_at_missing(const std::string& path) const;
  /// Has it hashed, and tells the peers of it where they may fetch it meanwhile: once it is known
  /// that they have nothing to make it of, or of which blocks. `done`: what has come of an earlier
  /// call.
  Finding have_hashed(const std::string& path, const share::FileStat& stat, const Record* known,
                      HashKinds kinds, bool cuts, std::optional<LargeFiles::Done> done);
  /// Of a file that is as recorded; it may be without a sketch.
  void note_sketch(const Record& record, const LargeFiles::Done& done) const;
  Content read(const std::string& path, const share::FileStat& stat, HashKinds kinds, bool cuts);
  Finding unread(const std::string& path, const share::FileStat& stat, const Content& content);
  Finding look_at_file(const std::string& path, const share::FileStat& stat, const Moves& moves);
  /// The record of the file that was renamed to `path`, if it is untouched.
  std::optional<Record> origin_of(const std::string& path, const share::FileStat& stat,
                                  const Moves& moves) const;
  sync::Finder finder(std::uint64_t now_ms) const;

  RoleContext& context_;
  Instance& instance_;
  const share::Share& share_;
  const share::IgnoreRules& rules_;
  Announcer announcer_;
  std::optional<ShortId> adopter_;
  std::uint64_t forgotten_ = 0;
  std::mutex mutex_;
  std::set<std::string> unreadable_;  ///< what was said to be; guarded by mutex_
  LargeFiles large_files_;            // last: its threads use the others
};

}  // namespace lefting::scanner

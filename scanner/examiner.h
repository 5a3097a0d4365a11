#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/role/role.h"
#include "common/share/ignore.h"
#include "common/share/share.h"
#include "common/sync/index.h"
#include "common/sync/observe.h"
#include "common/sync/plan.h"
#include "scanner/large_files.h"
#include "scanner/moves.h"

namespace lefting::scanner {

/// What came of a path that was looked at closely.
enum class Outcome {
  unchanged,  ///< as recorded
  written,    ///< a new version was recorded
  restless,   ///< it changed while it was hashed: look again
  claimed,    ///< the downloader is at it: look again soon
  gone,       ///< nothing stands there any more; not recorded yet
  ignored,    ///< recorded, and not to be synced any more
  unreadable,
  hashing,  ///< it is large: look again when its hash has come (Examiner::large_files())
};

/// Looks closely at paths that seem changed: hashes them and records new versions. Hashing is
/// spread over threads; the rest belongs to the scanner's thread.
class Examiner {
 public:
  /// Tells the peers of a new version of which only the hash is not known yet.
  using Announce = std::function<void(const Entry&)>;

  /// `rules` of what is not to be synced; all must outlive it. `announce` is called by any thread,
  /// while look() runs.
  Examiner(RoleContext& context, const share::Share& share, const share::IgnoreRules& rules,
           Announce announce);

  /// What one path was found to be.
  struct Finding {
    Outcome outcome = Outcome::unchanged;
    std::optional<sync::Change> change;
    std::optional<share::FileStat> seen;  ///< the file of `change`, unless that is a deletion
    std::string moved_from = {};          ///< the recorded file that it was before a rename
    std::string blocks = {};              ///< of a new version (share/cut.h); empty: not cut
    bool announced = false;
  };
  /// Looks at all of `paths`. Returns a finding for each.
  std::vector<Finding> look(const std::vector<std::string>& paths, const Moves& moves);

  enum class Deletions { report, record };
  /// Commits what was found changed, and is still so, in one transaction; deletions only if they
  /// are to be recorded, or belong to a rename. Returns an outcome for each finding. Throws
  /// StoreError.
  std::vector<Outcome> record(std::vector<Finding> findings, Deletions deletions);

  LargeFiles& large_files() { return large_files_; }

  /// Errors: the share is not what the index was made of; then nothing in it is gone.
  Status check_share() const;

  /// True while a file that is not recorded may be older than this index.
  bool is_adopting() const { return adopter_.has_value(); }
  /// Of what is found without a record; for each adoption under a name of its own, so that it is
  /// concurrent with all that this index has said of it before.
  void begin_adoption();
  void end_adoption();

 private:
  bool is_the_downloaders(const std::string& path) const;
  bool leave_placed(const std::string& path, const sync::Here& here) const;
  Finding unreadable(const std::string& path, const Error& error);
  /// It could be read, while nobody changed it; or it is gone.
  void note_settled(const std::string& path);
  /// It changed while it was read.
  void note_unsettled(const std::string& path);
  bool is_unsettled(const std::string& path);
  static bool is_deletion(const Finding& finding);
  /// What else it is by now: the downloader, or somebody else, may have been there while other
  /// paths were hashed. Nothing: it is still so.
  std::optional<Outcome> look_once_more(const Finding& finding) const;
  Finding look_at(const std::string& path, const Moves& moves);
  Finding look_at_ignored(const std::string& path) const;
  Finding look_at_missing(const std::string& path) const;
  /// Has it hashed, and tells the peers of it where they may fetch it meanwhile; but of a new
  /// version when it has been cut.
  Finding have_hashed(const std::string& path, const share::FileStat& stat, const Record* known,
                      bool cuts, std::optional<LargeFiles::Done> cut);
  void announce(const Entry& entry, const std::string& blocks);
  Finding look_at_file(const std::string& path, const share::FileStat& stat, const Moves& moves);
  /// The record of the file that was renamed to `path`, if it is untouched.
  std::optional<Record> origin_of(const std::string& path, const share::FileStat& stat,
                                  const Moves& moves) const;
  sync::Finder finder(std::uint64_t now_ms) const;
  bool is_worth_announcing(const std::string& path, const Record* known,
                           const share::FileStat& stat);
  /// The changes to be recorded, in their order; what becomes of the other findings is noted in
  /// them. A rename's deletion follows what was renamed.
  std::vector<std::size_t> choose(std::vector<Finding>& findings, Deletions deletions) const;

  RoleContext& context_;
  Instance& instance_;
  const share::Share& share_;
  const share::IgnoreRules& rules_;
  Announce announce_;
  std::string index_;  ///< its ID, which the share's marker must name
  std::optional<ShortId> adopter_;
  std::uint64_t forgotten_ = 0;
  std::mutex mutex_;
  std::set<std::string> unreadable_;  ///< what was said to be; guarded by mutex_
  std::set<std::string> unsettled_;   ///< guarded by mutex_
  LargeFiles large_files_;            // last: its threads use the others
};

}  // namespace lefting::scanner

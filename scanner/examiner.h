#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/role/role.h"
#include "common/share/share.h"
#include "common/sync/index.h"
#include "common/sync/observe.h"

namespace lefting::scanner {

/// What came of a path that was looked at closely.
enum class Outcome {
  unchanged,  ///< as recorded
  written,    ///< a new version was recorded
  restless,   ///< it changed while it was hashed, or the downloader is at it: look again
  gone,       ///< nothing stands there any more; not recorded yet
  unreadable,
};

/// Looks closely at paths that seem changed: hashes them and records new versions. Hashing is
/// spread over threads; the rest belongs to the scanner's thread.
class Examiner {
 public:
  Examiner(RoleContext& context, const share::Share& share);

  enum class Deletions { report, record };
  /// Looks at all of `paths` and commits what changed in one transaction; deletions only if they
  /// are to be recorded. Returns an outcome for each. Throws StoreError.
  std::vector<Outcome> examine(const std::vector<std::string>& paths, Deletions deletions);

  /// Errors: the share is not what the index was made of; then nothing in it is gone.
  Status check_share() const;

  /// True while a file that is not recorded may be older than this index.
  bool is_adopting() const { return adopting_; }
  void end_adoption();

 private:
  struct Finding {
    Outcome outcome = Outcome::unchanged;
    std::optional<sync::Change> change;
    std::optional<share::FileStat> seen;  ///< the file of `change`, unless that is a deletion
  };
  static bool is_deletion(const Finding& finding);
  bool is_still_so(const Finding& finding) const;
  Finding look(const std::string& path) const;
  Finding look_at_missing(const std::string& path) const;
  Finding look_at_file(const std::string& path, const share::FileStat& stat) const;
  sync::Finder finder() const;
  /// Takes deletions out again where the share is not the right one.
  void doubt_deletions(std::vector<Finding>& findings) const;
  /// Leaves them to who asked.
  static void report_deletions(std::vector<Finding>& findings);
  std::vector<Finding> look_all(const std::vector<std::string>& paths) const;

  RoleContext& context_;
  Instance& instance_;
  const share::Share& share_;
  std::string index_;  ///< its ID, which the share's marker must name
  bool adopting_;
};

}  // namespace lefting::scanner

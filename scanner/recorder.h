#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/role/role.h"
#include "common/share/cut.h"
#include "common/share/share.h"
#include "common/sync/index.h"

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

/// What one path was found to be.
struct Finding {
  Outcome outcome = Outcome::unchanged;
  std::optional<sync::Change> change;
  std::optional<share::FileStat> seen;       ///< the file of `change`, unless that is a deletion
  std::string moved_from = {};               ///< the recorded file that it was before a rename
  Manifest manifest = {};                    ///< of what was cut
  std::optional<share::Sketch> sketch = {};  ///< of a large file
  bool announced = false;
};

/// While a ticket is queued or worked on the downloader looks first: what stands at its path, or
/// beside it as a copy of its loser, may be what it has just put there and not recorded yet. If it
/// is not, it lets the ticket wait.
bool is_claimed(Instance& instance, const std::string& path);

enum class Deletions { report, record };

/// Records what the Examiner has found, where it is still so.
class Recorder {
 public:
  Recorder(Instance& instance, const share::Share& share);

  /// Commits what was found changed, and is still so, in one transaction; deletions only if they
  /// are to be recorded, or belong to a rename. Returns an outcome for each finding. Throws
  /// StoreError.
  std::vector<Outcome> record(std::vector<Finding> findings, Deletions deletions);

  /// Errors: the share is not what the index was made of; then nothing in it is gone.
  Status check_share() const;

 private:
  /// The changes to be recorded, in their order; what becomes of the other findings is noted in
  /// them. A rename's deletion follows what was renamed.
  std::vector<std::size_t> choose(std::vector<Finding>& findings, Deletions deletions) const;
  void note_content(const Finding& finding) const;
  /// What else it is by now: the downloader, or somebody else, may have been there while other
  /// paths were hashed. Nothing: it is still so.
  std::optional<Outcome> look_once_more(const Finding& finding) const;

  Instance& instance_;
  const share::Share& share_;
  std::string index_;  ///< its ID, which the share's marker must name
};

}  // namespace lefting::scanner

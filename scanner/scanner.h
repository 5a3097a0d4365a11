#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/base/clock.h"
#include "common/role/role.h"
#include "common/share/share.h"
#include "scanner/brake.h"
#include "scanner/examiner.h"
#include "scanner/moves.h"
#include "scanner/news.h"
#include "scanner/retries.h"
#include "scanner/watcher.h"

namespace lefting::scanner {

/// What has just changed may change once more.
inline constexpr milliseconds kSettle{1000};
inline constexpr milliseconds kLongestUnread{300'000};

/// The scanner: traverses the share at its start and then regularly, follows inotify in between,
/// has changed files examined, and tells the news senders. One thread.
class Scanner {
 public:
  Scanner(RoleContext& context, share::Share share);

  /// Works until the context says stop. Throws StoreError.
  void run();

 private:
  void wait();
  void take_events();
  void take_event(const Event& event);
  void take_hashed();
  void await_large_files();
  void look_again_at_the_restless();
  void traverse_all();
  std::chrono::seconds period() const;
  void traverse(const std::string& folder);
  /// A folder that was not watched: also what is recorded there and gone.
  void traverse_below(const std::string& folder);
  void find_missing();
  void suspect_missing(std::vector<std::string> recorded);
  void end_adoption_if_due();
  void note_unread(const std::string& folder, const Error& error);
  void forget_unread(const std::string& folder, Deadline since);
  bool is_left_over(const std::string& partial_path) const;
  bool meet(const std::string& path, const share::FileStat& stat);
  /// Adds a path to those to be examined; examines when there are many.
  void suspect(std::string path);
  void examine_suspects();
  void examine(std::vector<std::string> paths, Deletions deletions);
  void add_origins(std::vector<std::string>& paths, std::vector<Finding>& findings);
  /// Records what is gone, if it is time and nothing speaks against it.
  void record_deletions(bool whole);
  void sketch_the_rest();
  bool can_traverse();
  void meet_new_rules();
  void apply_new_rules();
  void forget_ignored();
  void hear_verdict();
  void forget_deletions();

  RoleContext& context_;
  Instance& instance_;
  share::Share share_;
  share::IgnoreFile ignore_;
  state::ScanWords& words_;
  Examiner examiner_;
  Recorder recorder_;
  Watcher watcher_;
  NewsSenders news_;

  Brake brake_;
  std::vector<std::string> suspects_;
  bool saw_only_ours_ = true;           ///< nothing but what the downloader is at
  Deadline next_events_{};              ///< until then they are gathered
  Moves moves_;                         ///< among the events that are being taken
  std::vector<std::string> to_forget_;  ///< recorded, and ignored now
  Retries restless_;                    ///< files
  Retries unread_;                      ///< folders
  std::uint32_t scan_ = 1;              ///< the traversal that is under way, or was the last
  std::uint64_t met_ = 0;
  std::uint64_t ignored_ = 0;      ///< files and folders, in this traversal
  bool rules_are_new_ = false;     ///< not all that is recorded was found by the rules of now
  unsigned whole_traversals_ = 0;  ///< counted while the index adopts the share
  bool traverse_soon_ = true;
  bool share_was_bad_ = false;
  Deadline next_traversal_{};
};

}  // namespace lefting::scanner

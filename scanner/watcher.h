#pragma once

#include <sys/inotify.h>

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/unique_fd.h"

namespace lefting::scanner {

/// Something that inotify saw.
struct Event {
  enum class Kind {
    file,            ///< written, moved, removed, or its metadata changed: look at it now
    new_file,        ///< made, perhaps not written yet: look at it when it had time to be
    folder,          ///< there is a folder now: look at all of it
    folder_changed,  ///< its rights, for example
    folder_gone,     ///< it was removed or moved away, with all that was in it
    overflow,        ///< events were lost: look at everything
  };
  Kind kind = Kind::file;
  std::string path;
  std::string moved_from = {};  ///< of a file or folder that was renamed within the share
};

/// Watches folders by inotify. Used by one thread.
class Watcher {
 public:
  Watcher();

  /// Readable when there are events; -1 where the system has no inotify to give.
  int fd() const { return inotify_.get(); }
  /// True while every folder that it was told of is watched.
  bool complete() const { return complete_; }

  /// Begins to watch a folder, open as `fd`; call it before reading the folder. Again for the same
  /// folder, or under its new name, does no harm.
  void add(const std::string& folder, int fd);
  /// All that has happened since, in order; `.lefting` files left out.
  std::vector<Event> read();

 private:
  void give_up(int errno_value, const std::string& folder);
  void take(const struct inotify_event& raw, std::vector<Event>& out);
  void forget_below(const std::string& folder);
  std::string take_origin(const struct inotify_event& raw, const std::string& path);

  UniqueFd inotify_;
  std::unordered_map<int, std::string> folders_;  // by watch
  std::map<std::string, int> watches_;            // by folder, so that a subtree is a range
  /// What was moved away, by cookie: where it was moved to may come with the next read.
  std::unordered_map<std::uint32_t, std::string> moved_away_;
  bool complete_ = true;
};

}  // namespace lefting::scanner

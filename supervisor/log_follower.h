#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>

#include "common/base/settings.h"
#include "common/base/unique_fd.h"

namespace lefting::supervisor {

/// Gives the lines that are added to an instance's logs, across rotations.
class LogFollower {
 public:
  using Emit = std::function<void(const std::string& line)>;

  /// `program` empty: all. Lines that are there already are not given.
  /// Throws std::system_error (the logs folder can't be watched).
  LogFollower(const InstancePaths& paths, std::string program);

  /// Waits for the next change of the logs, up to `timeout_ms` (-1: for ever), and gives what it
  /// brought.
  void wait(int timeout_ms, const Emit& emit);

 private:
  struct File {
    UniqueFd fd;
    ino_t inode = 0;
    std::string partial;  ///< the begin of a line whose end is not there yet
  };
  void look(bool from_start, const Emit& emit);
  bool open(File& file, const std::string& path) const;
  void read_new(File& file, const Emit& emit) const;

  InstancePaths paths_;
  std::string program_;
  UniqueFd inotify_;
  std::map<std::string, File> files_;  ///< by program
};

}  // namespace lefting::supervisor

#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"

namespace lefting::test {

/// One of the project's programs on a terminal of its own. Killed when this goes.
class PtyProgram {
 public:
  PtyProgram(const std::string& program, const std::vector<std::string>& arguments, int rows,
             int columns);
  ~PtyProgram();
  PtyProgram(const PtyProgram&) = delete;
  PtyProgram& operator=(const PtyProgram&) = delete;

  int pid() const { return pid_; }
  /// All that it has written so far.
  const std::string& output() const { return output_; }
  /// The last whole frame of `dumpstate --watch`, with its control sequences.
  std::string frame() const;

  /// Reads until `holds`. False: 20 s passed, or the program has ended.
  bool read_until(const std::function<bool()>& holds);
  /// Reads until a frame with that text comes, one that was drawn from now on.
  bool shows(const std::string& text);
  /// Waits until a signal has stopped it. False: 20 s passed.
  bool stops();
  void type(const std::string& keys);
  void resize(int rows, int columns);
  /// Reads to the end. The exit code, or 128 + signal; -1: it doesn't end within 20 s.
  int end();

 private:
  bool read_some(int timeout_ms);

  UniqueFd master_;
  int pid_ = 0;
  bool at_end_ = false;
  bool reaped_ = false;
  std::string output_;
};

}  // namespace lefting::test

#pragma once

#include <rapidjson/document.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/integration/process.h"
#include "tests/integration/wait.h"
#include "tests/unit/temp_folder.h"

namespace lefting::test {

/// One instance on this machine, in a folder of its own. When it goes, all its programs are gone:
/// stopped in order, or killed.
class Node {
 public:
  explicit Node(bool plain = false);
  ~Node();

  std::string share(const std::string& path = "") const;
  std::string state() const { return folder_ / "state"; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_.port()); }
  int port() const { return port_.port(); }
  std::string id();
  /// As `--peer` takes it.
  std::string spec() { return plain_ ? address() : id() + "@" + address(); }

  Ended supervisor(std::vector<std::string> arguments);
  /// Fails the test where start does.
  void start(const std::vector<std::string>& peers, const std::vector<std::string>& more = {});
  Ended try_start(const std::vector<std::string>& peers, const std::vector<std::string>& more = {});
  void stop();
  /// SIGKILL to all its programs.
  void kill_all();
  /// The supervisor does nothing until go_on().
  void stand_still() { signal_supervisor(SIGSTOP); }
  void go_on() { signal_supervisor(SIGCONT); }
  int role_pid(const std::string& role);
  std::vector<int> pids() const { return pids_with("--state " + state()); }

  rapidjson::Document dump();
  std::string dump_text();

  void write(const std::string& path, const std::string& content);
  /// It appears whole: nobody sees it while it is being written.
  void place(const std::string& path, const std::string& content);
  std::string read(const std::string& path) const;
  bool exists(const std::string& path) const { return std::filesystem::exists(share(path)); }
  bool holds(const std::string& path, const std::string& content) const {
    return exists(path) && read(path) == content;
  }
  /// Paths of all files of the share, or below `folder`, which ends in '/'; also while files and
  /// folders come and go.
  std::vector<std::string> files(const std::string& folder = "") const;
  /// All files of the share by path and content, partial files too; not its marker and trash.
  std::vector<std::pair<std::string, std::string>> tree() const;

 private:
  void signal_supervisor(int signal);
  TempFolder folder_;
  PortLease port_;
  bool plain_;
  std::string id_;
};

/// A value of a JSON object as text; "" where it isn't there.
std::string text_of(const rapidjson::Value& object, const char* key);
std::uint64_t number_of(const rapidjson::Value& object, const char* key);

/// The greatest sequence of the files in a dump.
std::uint64_t last_sequence(const rapidjson::Document& dump);

/// Random bytes, the same for the same seed.
std::string random_bytes(std::size_t size, unsigned seed);

}  // namespace lefting::test

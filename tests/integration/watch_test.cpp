// dumpstate --watch on a terminal.
#include <doctest/doctest.h>

#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <mutex>

#include "tests/integration/node.h"
#include "tests/integration/pty.h"
#include "tests/integration/raw_peer.h"

using namespace lefting::test;

namespace {

constexpr std::size_t kMiB = 1u << 20;
const std::string kShowCursor = "\x1b[?25h";
const std::string kHideCursor = "\x1b[?25l";

/// Offers "big", more than a batch, of which it gives six of twelve blocks, and "broken", which it
/// can't read.
class HalfwayPeer {
 public:
  HalfwayPeer() : content_{random_bytes(12 * kMiB, 3)} {
    const std::string list =
        "[" + raw_entry("broken", 2, 5) + "," +
        raw_entry("big", content_.size(), 5, R"(,"hash":")" + sha256(content_) + "\"") + "]";
    peer.answer_with([this, list](const RawFrame& frame) -> std::optional<std::string> {
      const auto json = frame.json();
      const std::string operation = json["operation"].GetString();
      if (operation == "hello") return peer.hello_reply(list);
      if (operation == "news") return raw_frame(R"({"reply":"news","status":"ok"})");
      if (json["path"] == "broken") {
        return raw_frame(
            R"({"reply":"get_file","status":"error","error":"internal","message":"bad disk"})");
      }
      const std::size_t offset = json.HasMember("offset") ? json["offset"].GetUint64() : 0;
      std::unique_lock lock{mutex_};
      if (offset >= 6 * kMiB && !open_.wait_for(lock, Seconds{20}, [this] { return is_open_; })) {
        return std::nullopt;
      }
      return raw_frame(R"({"reply":"get_file","status":"ok","offset":)" + std::to_string(offset) +
                           R"(,"size":)" + std::to_string(content_.size()) + R"(,"mtime":5})",
                       content_.substr(offset, json["length"].GetUint64()));
    });
  }
  ~HalfwayPeer() { open(); }
  void open() {
    const std::lock_guard lock{mutex_};
    is_open_ = true;
    open_.notify_all();
  }

 private:
  std::string content_;
  std::mutex mutex_;
  std::condition_variable open_;
  bool is_open_ = false;

 public:
  RawPeer peer;  // last: its threads use the others
};

std::vector<std::string> watch_arguments(const Node& node) {
  return {"--watch", "--state", node.state()};
}

/// All programs of the instance, and not who watches it.
void kill_instance(const Node& node, const PtyProgram& watch) {
  for (const int pid : node.pids()) {
    if (pid != watch.pid()) send_signal(pid, SIGKILL);
  }
}

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("watch: a bar for what is on its way, the reason for what waits; Ctrl-C ends it") {
  HalfwayPeer source;
  Node node{true};
  std::filesystem::create_symlink("/nowhere", node.share("link"));
  node.start({source.peer.address()});
  PtyProgram watch{"dumpstate", watch_arguments(node), 40, 120};
  CHECK(watch.shows("[##########----------]  50 %     6.0 MiB of   12.0 MiB"));
  CHECK(watch.shows("broken: the source says internal: bad disk (again in "));
  const std::string frame = watch.frame();
  CAPTURE(frame);
  for (const char* text : {"running for ", "ROLE ", "scanner ", "online", "peers 1/1",
                           "transfers: 1; 6.0 MiB received", "waiting: 1",
                           "1 symlinks, devices and the like skipped, 0 ignored, 0 unreadable"}) {
    CAPTURE(text);
    CHECK(frame.find(text) != std::string::npos);
  }
  CHECK(watch.output().find(kHideCursor) != std::string::npos);
  // Frames lie over one another: the screen is empty once, before the first.
  CHECK(count_of(watch.output(), "\x1b[2J") == 1);
  source.open();
  CHECK(watch.shows("transfers: 0"));
  watch.type("\x03");
  CHECK(watch.end() == 0);
  CHECK(watch.output().rfind(kShowCursor) > watch.output().rfind(kHideCursor));
  CHECK(watch.output().ends_with("\x1b[?1049l"));
}

TEST_CASE("watch: through a stop, a start, and a kill of the instance") {
  Node node;
  node.write("a", "1");
  node.start({});
  PtyProgram watch{"dumpstate", watch_arguments(node), 24, 100};
  CHECK(watch.shows("running for "));
  CHECK(watch.shows("1 file, 1 B"));
  node.stop();
  CHECK(watch.shows("not running, it ended at "));
  CHECK(watch.shows("1 file, 1 B"));
  node.write("b", "1");
  node.start({});
  CHECK(watch.shows("running for "));
  CHECK(watch.shows("2 files, 2 B"));
  kill_instance(node, watch);
  CHECK(watch.shows("not running, it ended at "));
  CHECK(watch.shows("2 files, 2 B"));
  node.start({});
  CHECK(watch.shows("running for "));
  send_signal(watch.pid(), SIGTERM);
  CHECK(watch.end() == 0);
}

TEST_CASE("watch: of a folder that was never started, until it is") {
  Node node;
  REQUIRE(!node.id().empty());
  PtyProgram watch{"dumpstate", watch_arguments(node), 24, 100};
  CHECK(watch.shows("never started"));
  CHECK_FALSE(std::filesystem::exists(node.state() + "/lefting.db"));
  node.start({});
  CHECK(watch.shows("running for "));
}

TEST_CASE("watch: a supervisor that does not answer keeps nobody from the next frame") {
  Node node;
  node.start({});
  const std::string status = node.supervisor({"status"}).out;
  const int pid = std::stoi(status.substr(status.find("pid ") + 4));
  PtyProgram watch{"dumpstate", watch_arguments(node), 24, 100};
  CHECK(watch.shows("running for "));
  send_signal(pid, SIGSTOP);
  CHECK(watch.shows("it doesn't answer"));
  CHECK(watch.shows("it doesn't answer"));
  CHECK(watch.frame().find("scanner     ready") != std::string::npos);  // from the segment
  PtyProgram late{"dumpstate", watch_arguments(node), 24, 100};
  CHECK(late.shows("what the store has, since supervisor (pid "));
  send_signal(pid, SIGCONT);
  CHECK(watch.shows("running for "));
  CHECK(late.shows("running for "));
}

TEST_CASE("watch: frames keep to the size of the terminal, also when it changes") {
  Node node;
  node.start({});
  PtyProgram watch{"dumpstate", watch_arguments(node), 24, 100};
  CHECK(watch.shows("listening on "));
  watch.resize(5, 30);
  REQUIRE(watch.read_until([&] { return count_of(watch.frame(), "\r\n") == 4; }));
  std::string frame = watch.frame().substr(3);  // behind the cursor's way home
  for (std::size_t at = frame.find("\r\n"); at != std::string::npos; at = frame.find("\r\n")) {
    const std::string line = frame.substr(0, at);
    CAPTURE(line);
    CHECK(line.ends_with("\x1b[K"));
    CHECK(line.size() <= 29 + 3 + 2);  // an ellipsis has three bytes
    frame.erase(0, at + 2);
  }
}

TEST_CASE("watch: Ctrl-Z gives the terminal back, and it goes on after that") {
  Node node;
  node.start({});
  PtyProgram watch{"dumpstate", watch_arguments(node), 24, 100};
  CHECK(watch.shows("running for "));
  watch.type("\x1a");
  CHECK(watch.read_until([&] { return watch.output().ends_with("\x1b[?1049l"); }));
  REQUIRE(watch.stops());  // else it stops itself after SIGCONT, for ever
  send_signal(watch.pid(), SIGCONT);
  CHECK(watch.shows("running for "));
}

TEST_CASE("watch: not on a terminal, frames are plain text with an empty line behind each") {
  Node node;
  node.start({});
  const std::string program =
      "exec " + std::string{LEFTING_BIN_DIR} + "/dumpstate --watch --state ";
  std::FILE* const out = ::popen((program + node.state()).c_str(), "r");
  REQUIRE(out != nullptr);
  std::string text;
  char line[4096];
  while (count_of(text, "running for ") < 2 && std::fgets(line, sizeof line, out)) text += line;
  for (const int pid : pids_with("dumpstate --watch --state " + node.state())) {
    send_signal(pid, SIGTERM);
  }
  while (std::fgets(line, sizeof line, out) != nullptr) text += line;
  CHECK(::pclose(out) == 0);
  CHECK(count_of(text, "running for ") >= 2);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.ends_with("\n\n"));
}

// Deaths in the middle of a transfer: what came is not fetched again, and what arrives is right.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <set>

#include "tests/integration/node.h"
#include "tests/integration/raw_peer.h"

using namespace lefting::test;

namespace {

constexpr std::size_t kMiB = 1u << 20;
constexpr std::int64_t kLater = 4'000'000'000'000'000'000;

/// A source that answers so many requests for a file, and holds the rest back until it is let go.
class HoldingPeer {
 public:
  HoldingPeer(std::size_t blocks, std::size_t given)
      : HoldingPeer{random_bytes(blocks * kMiB, 77), given, 5} {}
  /// `manifest`  empty: it has none
  HoldingPeer(std::string content, std::size_t given, std::int64_t mtime,
              const std::string& manifest = "")
      : content_{std::move(content)}, given_{given} {
    const std::string list =
        "[" + raw_entry("big", content_.size(), mtime, R"(,"blake3":")" + blake3(content_) + "\"") +
        "]";
    peer.answer_with([this, list, manifest](const RawFrame& frame) -> std::optional<std::string> {
      const auto json = frame.json();
      const std::string operation = json["operation"].GetString();
      if (operation == "hello") return peer.hello_reply(list);
      if (operation == "news") return raw_frame(R"({"reply":"news","status":"ok"})");
      if (json.HasMember("part") && !manifest.empty()) return manifest_reply(manifest);
      if (json.HasMember("part")) {
        return raw_frame(
            R"({"reply":"get_file","status":"error","error":"not_found","message":"not cut"})");
      }
      const std::size_t offset = json.HasMember("offset") ? json["offset"].GetUint64() : 0;
      std::unique_lock lock{mutex_};
      if (!open_ && answered_++ >= given_ &&
          !changed_.wait_for(lock, Seconds{20}, [&] { return open_; })) {
        return std::nullopt;
      }
      if (open_) asked_after_.insert(offset / kMiB);
      return raw_frame(R"({"reply":"get_file","status":"ok","offset":)" + std::to_string(offset) +
                           R"(,"size":)" + std::to_string(content_.size()) + R"(,"mtime":5})",
                       content_.substr(offset, json["length"].GetUint64()));
    });
  }
  ~HoldingPeer() { open(); }

  void open() {
    const std::lock_guard lock{mutex_};
    open_ = true;
    asked_after_.clear();
    changed_.notify_all();
  }
  const std::string& content() const { return content_; }
  std::size_t answered() {
    const std::lock_guard lock{mutex_};
    return answered_;
  }
  std::set<std::size_t> asked_after_opening() {
    const std::lock_guard lock{mutex_};
    return asked_after_;
  }

 private:
  std::string content_;
  std::size_t given_;
  std::size_t answered_ = 0;  ///< guarded by mutex_
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  std::set<std::size_t> asked_after_;

 public:
  RawPeer peer;  // last: its threads use the others
};

void set_mtime(const std::string& path, long ns) {
  const timespec times[] = {{0, UTIME_OMIT}, {0, ns}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

std::uint64_t done_bytes(Node& node) {
  const auto dump = node.dump();
  return dump["tickets"].Empty() ? 0 : number_of(dump["tickets"][0], "done_bytes");
}

}  // namespace

TEST_CASE("resume: after the downloader's death only what is missing is asked for") {
  HoldingPeer source{12, 5};
  Node node{true};
  node.start({source.peer.address()});
  REQUIRE(eventually([&] { return done_bytes(node) == 5 * kMiB; }));
  CHECK(std::filesystem::file_size(node.share("big.lefting")) == 12 * kMiB);
  CHECK_FALSE(node.exists("big"));
  send_signal(node.role_pid("downloader"), SIGKILL);
  source.open();
  CHECK(eventually([&] { return node.exists("big"); }));
  CHECK(node.read("big") == source.content());
  CHECK_FALSE(node.exists("big.lefting"));
  for (const std::size_t block : source.asked_after_opening()) CHECK(block >= 5);
}

TEST_CASE(
    "resume: after the death of the whole instance at most the last 4 MiB are fetched again") {
  HoldingPeer source{24, 14};
  Node node{true};
  node.start({source.peer.address()});
  REQUIRE(eventually([&] { return done_bytes(node) == 14 * kMiB; }));
  node.kill_all();
  source.open();
  node.start({source.peer.address()});
  CHECK(eventually([&] { return node.exists("big"); }));
  CHECK(node.read("big") == source.content());
  for (const std::size_t block : source.asked_after_opening()) CHECK(block >= 10);
}

TEST_CASE("resume: after a death what the old version lacked and has come is not asked for again") {
  const std::string old = random_bytes(20 * kMiB, 1);
  std::string content = old;
  content.replace(4 * kMiB, 12 * kMiB, random_bytes(12 * kMiB, 2));
  HoldingPeer source{content, 8, kLater, blocks_of(content)};
  Node node{true};
  node.write("big", old);
  node.start({source.peer.address()});
  // The first piece begins somewhere before the fourth block, the eighth before the eleventh.
  REQUIRE(eventually([&] { return done_bytes(node) == 7 * kMiB; }));
  SUBCASE("the downloader's") {
    send_signal(node.role_pid("downloader"), SIGKILL);
    source.open();
  }
  SUBCASE("the whole instance's") {
    node.kill_all();
    source.open();
    node.start({source.peer.address()});
  }
  CHECK(eventually([&] { return node.holds("big", content); }));
  const auto asked = source.asked_after_opening();
  CHECK(asked.contains(15));
  for (const std::size_t block : asked) CHECK((block == 3 || (block >= 10 && block < 17)));
}

TEST_CASE("resume: of a delta that came to nothing nothing is taken for there") {
  std::string old = random_bytes(20 * kMiB, 1);
  std::string content = old;
  content.replace(12 * kMiB, 3 * kMiB, random_bytes(3 * kMiB, 2));
  std::string lie = content;
  old[10] = lie[10] = static_cast<char>(~lie[10]);  // so what is made by it is wrong
  HoldingPeer source{content, 9, kLater, blocks_of(lie)};
  Node node{true};
  node.write("big", old);
  node.start({source.peer.address()});
  REQUIRE(eventually([&] { return source.answered() > 9; }));
  REQUIRE(eventually([&] { return done_bytes(node) >= 4 * kMiB; }));
  CHECK(done_bytes(node) <= 6 * kMiB);  // of the whole, from its beginning
  send_signal(node.role_pid("downloader"), SIGKILL);
  source.open();
  CHECK(eventually([&] { return node.holds("big", content); }));
  const auto asked = source.asked_after_opening();
  CHECK(asked.contains(13));
  CHECK_FALSE(asked.contains(0));
}

TEST_CASE("resume: what may be the wanted file, in the trash, is not put over what has come") {
  HoldingPeer source{12, 5};
  Node node{true};
  node.start({source.peer.address()});
  REQUIRE(eventually([&] { return done_bytes(node) == 5 * kMiB; }));
  std::string other = source.content();
  other[10] = static_cast<char>(~other[10]);
  node.write(".lefting-trash/20991231-000000/big", other);
  set_mtime(node.share(".lefting-trash/20991231-000000/big"), 5);
  send_signal(node.role_pid("downloader"), SIGKILL);
  source.open();
  CHECK(eventually([&] { return node.exists("big"); }));
  CHECK(node.read("big") == source.content());
  CHECK_FALSE(source.asked_after_opening().contains(0));
}

TEST_CASE("resume: a partial file that was tampered with is noticed and fetched anew") {
  HoldingPeer source{6, 3};
  Node node{true};
  node.start({source.peer.address()});
  REQUIRE(eventually([&] { return done_bytes(node) == 3 * kMiB; }));
  const int downloader = node.role_pid("downloader");
  node.stand_still();  // else the next downloader may have it open by then
  send_signal(downloader, SIGKILL);
  std::filesystem::resize_file(node.share("big.lefting"), 1);
  node.go_on();
  source.open();
  CHECK(eventually([&] { return node.exists("big"); }));
  CHECK(node.read("big") == source.content());
}

TEST_CASE("resume: when its only source is removed a wish is given up, and its partial file goes") {
  HoldingPeer source{12, 5};
  Node node{true};
  node.start({source.peer.address()});
  REQUIRE(eventually([&] { return done_bytes(node) == 5 * kMiB; }));
  REQUIRE(node.supervisor({"peer", "remove", source.peer.address()}).code == 0);
  // It waits for the source's answer; its successor looks at the ticket anew.
  send_signal(node.role_pid("downloader"), SIGKILL);
  CHECK(eventually([&] { return node.tree().empty(); }));
  CHECK(eventually([&] { return node.dump()["tickets"].Empty(); }));
}

TEST_CASE("restart: each role, and all of them, die during a transfer, and the file arrives") {
  Node a;
  Node b;
  const std::string content = random_bytes(192 * kMiB, 8);
  a.start({b.spec()});
  b.start({a.spec()});
  int round = 0;
  for (const std::string victim : {"scanner", "listener", "downloader", "all"}) {
    CAPTURE(victim);
    const std::string name = "file" + std::to_string(round++);
    a.write("../" + name, content);
    std::filesystem::rename(a.share("../" + name), a.share(name));
    eventually([&] { return b.exists(name + ".lefting") || b.exists(name); });
    for (Node* node : {&a, &b}) {
      if (victim == "all") {
        for (const char* role : {"scanner", "listener", "downloader"}) {
          send_signal(node->role_pid(role), SIGKILL);
        }
      } else {
        send_signal(node->role_pid(victim), SIGKILL);
      }
    }
    CHECK(eventually([&] { return b.exists(name); }, Seconds{60}));
    CHECK(b.read(name) == content);
    CHECK(eventually([&] { return b.dump()["tickets"].Empty(); }));
    CHECK_FALSE(b.exists(name + ".lefting"));
  }
}

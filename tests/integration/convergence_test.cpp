// Random changes on three peers at once, roles dying meanwhile: at rest all shares are the same.
#include <doctest/doctest.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <memory>
#include <random>

#include "tests/integration/node.h"

using namespace lefting::test;
namespace fs = std::filesystem;

namespace {

class Chaos {
 public:
  Chaos(unsigned seed, bool plain) : random_{seed} {
    for (auto& node : nodes) node = std::make_unique<Node>(plain);
    for (auto& node : nodes) {
      std::vector<std::string> peers;
      for (auto& other : nodes) {
        if (other != node) peers.push_back(other->spec());
      }
      node->start(peers);
    }
  }

  /// One change by one of the users. A name that is not there is no fault.
  void change() {
    Node& node = *nodes[pick(3)];
    const std::string path = any_path();
    std::error_code ignored;
    switch (pick(6)) {
      case 0:
      case 1:
        make_room(node, path);
        node.write(path, random_bytes(pick(3) == 0 ? 1'200'000 : pick(5000), pick(1u << 30)));
        return;
      case 2:
        fs::remove(node.share(path), ignored);
        return;
      case 3: {
        const std::string to = any_path();
        make_room(node, to);
        fs::rename(node.share(path), node.share(to), ignored);
        return;
      }
      case 4:
        fs::permissions(node.share(path), fs::perms{pick(2) == 0 ? 0600u : 0644u}, ignored);
        return;
      default:
        fs::rename(node.share("d" + std::to_string(pick(3))),
                   node.share("d" + std::to_string(pick(3))), ignored);
    }
  }

  void kill_one_role() {
    static constexpr std::array<const char*, 3> kRoles = {"scanner", "listener", "downloader"};
    const int pid = nodes[pick(3)]->role_pid(kRoles[pick(3)]);
    if (pid > 0) send_signal(pid, SIGKILL);
  }

  bool at_rest() {
    const auto tree = nodes[0]->tree();
    for (auto& node : nodes) {
      if (node->tree() != tree || !node->dump()["tickets"].Empty()) return false;
    }
    return true;
  }

  std::array<std::unique_ptr<Node>, 3> nodes;

 private:
  unsigned pick(unsigned below) {
    return std::uniform_int_distribution<unsigned>{0, below - 1}(random_);
  }
  std::string any_path() {
    const unsigned folder = pick(4);
    return (folder == 0 ? std::string{} : "d" + std::to_string(folder - 1) + "/") + "n" +
           std::to_string(pick(40));
  }
  static void make_room(Node& node, const std::string& path) {
    std::error_code ignored;
    fs::create_directories(fs::path{node.share(path)}.parent_path(), ignored);
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("convergence: three peers end the same after random changes, with and without deaths") {
  for (const bool deaths : {false, true}) {
    const unsigned seed = deaths ? 2 : 1;
    CAPTURE(seed);
    Chaos chaos{seed, !deaths};  // one run plain, the other TLS
    for (int i = 0; i < 600; ++i) {
      chaos.change();
      if (deaths && i % 60 == 59) chaos.kill_one_role();
      lefting::poll_fds({}, 5);  // a user's pace: else everything happens before anything is seen
    }
    CHECK(eventually([&] { return chaos.at_rest(); }, Seconds{60}));
    for (const auto& [path, content] : chaos.nodes[0]->tree()) {
      CAPTURE(path);
      CHECK_FALSE(path.ends_with(".lefting"));
    }
  }
}

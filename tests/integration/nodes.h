#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/node.h"
#include "tests/unit/run_sql.h"

namespace lefting::test {

using Tree = std::vector<std::pair<std::string, std::string>>;

inline std::string store_of(const Node& node) { return node.state() + "/lefting.db"; }

inline void remove_store(const Node& node) {
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(store_of(node) + end);
}

/// Noise in the middle and at the end of it.
inline void garble_store(const Node& node) {
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(store_of(node)));
  std::fstream file{store_of(node), std::ios::in | std::ios::out | std::ios::binary};
  for (const std::streamoff at : {size / 2, size - 4096}) {
    file.seekp(at);
    file << random_bytes(4096, 7);
  }
}

inline void run_sql(const Node& node, const char* sql) { run_sql(store_of(node), sql); }

inline std::uint64_t count(Node& node, const char* what) {
  const Ended ended = run("dumpstate", {"summary", "--json", "--state", node.state()});
  rapidjson::Document summary;
  summary.Parse(ended.out.c_str());
  return number_of(summary["counts"], what);
}
// Bytes of content over the wire since its start.
inline std::uint64_t received(Node& node) { return count(node, "received_bytes"); }
inline std::uint64_t sent(Node& node) { return count(node, "sent_bytes"); }

inline bool is_conflict(const std::string& path) { return path.find(".conflict-") != path.npos; }

inline std::set<std::string> contents(const Tree& tree) {
  std::set<std::string> out;
  for (const auto& [path, content] : tree) out.insert(content);
  return out;
}

inline void start_pair(Node& a, Node& b) {
  a.start({b.spec()});
  b.start({a.spec()});
}

/// Nodes that know each other, and what is expected of them.
class Nodes {
 public:
  explicit Nodes(std::size_t count, bool plain = true) {
    for (std::size_t i = 0; i < count; ++i) nodes_.push_back(std::make_unique<Node>(plain));
  }
  Node& operator[](std::size_t i) { return *nodes_[i]; }

  std::vector<std::string> peers_of(std::size_t i) {
    std::vector<std::string> peers;
    for (auto& other : nodes_) {
      if (other != nodes_[i]) peers.push_back(other->spec());
    }
    return peers;
  }
  void start(std::size_t i, const std::vector<std::string>& more = {}) {
    nodes_[i]->start(peers_of(i), more);
  }
  void start_all() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) start(i);
  }

  bool is_at_rest() {
    const Tree tree = nodes_[0]->tree();
    return std::all_of(nodes_.begin(), nodes_.end(), [&](auto& node) {
      const auto dump = node->dump();
      // All have heard of all: the same versions of the same files, by the same hashes.
      return dump["tickets"].Empty() && node->tree() == tree &&
             versions(dump) == versions(nodes_[0]->dump());
    });
  }
  void settle() {
    const bool rests = eventually([&] { return is_at_rest(); }, Seconds{60});
    for (auto& node : nodes_) {
      if (!rests) MESSAGE(node->dump_text());
    }
    REQUIRE(rests);
  }

  /// What the shares hold now must not be lost.
  void remember() {
    must_hold_.clear();
    for (auto& node : nodes_) must_hold_.merge(contents(node->tree()));
  }
  void check_nothing_is_lost() {
    for (auto& node : nodes_) {
      const auto held = contents(node->tree());
      for (const std::string& content : must_hold_) {
        CAPTURE(content);
        CHECK(held.contains(content));
      }
    }
  }
  std::size_t conflicts() {
    const Tree tree = nodes_[0]->tree();
    return static_cast<std::size_t>(std::count_if(
        tree.begin(), tree.end(), [](const auto& one) { return is_conflict(one.first); }));
  }

 private:
  static std::map<std::string, std::string> versions(const rapidjson::Document& dump) {
    std::map<std::string, std::string> out;
    for (const auto& file : dump["files"].GetArray()) {
      std::set<std::string> version;
      for (const auto& one : file["version"].GetObject()) {
        version.insert(one.name.GetString() + std::to_string(one.value.GetUint64()));
      }
      std::string& all = out[text_of(file, "path")];
      for (const std::string& one : version) all += one + " ";
      all += text_of(file, "hash") + text_of(file, "blake3");
    }
    return out;
  }

  std::vector<std::unique_ptr<Node>> nodes_;
  std::set<std::string> must_hold_;
};

inline bool says(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace lefting::test

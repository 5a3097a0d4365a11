#pragma once

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/node.h"

namespace lefting::test {

/// Users who change the same paths on several instances at once, and what must come of it.
///
/// Each content is written once. It is over when a user overwrites or removes it where he sees it;
/// every other must be kept: under its name, beside it, or in a trash.
class People {
 public:
  People(std::vector<Node*> nodes, unsigned seed) : nodes_{std::move(nodes)}, random_{seed} {}

  /// One change by one of them.
  void change();
  /// What is wrong with shares at rest, all the same; "" for nothing.
  std::string fault() const;

  unsigned pick(unsigned below) {
    return std::uniform_int_distribution<unsigned>{0, below - 1}(random_);
  }

 private:
  std::string path();
  std::string content();
  void write(Node& node, const std::string& path);
  void remove(Node& node, const std::string& path);
  void rename(Node& node, const std::string& from, const std::string& to);
  void rename_folder(Node& node);
  void swap_file_and_folder(Node& node);
  void touch(Node& node, const std::string& path);
  void note(const Node& node, const std::string& what);
  std::string told_of(const std::string& text) const;
  void end(const std::string& content, const std::string& path);
  /// What is aside takes its place, and what was there is over. False: it can't.
  bool put(Node& node, const std::string& path);
  void remove_folder(Node& node, const std::string& folder);

  std::vector<Node*> nodes_;
  std::mt19937 random_;
  unsigned written_ = 0;
  std::map<std::string, std::string> alive_;  ///< by content: who wrote it where, for people
  /// Removed or overwritten, and never moved or touched: may be nowhere but in a trash or beside
  /// its path.
  std::map<std::string, std::string> over_;
  std::set<std::string> moved_;
  std::vector<std::string> journal_;
};

}  // namespace lefting::test

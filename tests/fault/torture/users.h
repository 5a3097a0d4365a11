#pragma once

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/integration/node.h"

namespace lefting::test {

/// What the users of two instances do to their shares, and what must come of it.
///
/// Folder `a` is changed at the first only, `b` at the second only: nothing there may ever be lost,
/// changed or in conflict. In `c` both write: there the last content that was written anywhere must
/// be kept, under its name or beside it.
class Users {
 public:
  Users(Node& first, Node& second, unsigned seed) : nodes_{&first, &second}, random_{seed} {}

  /// One change by one of them.
  void change();
  /// So many new small files at one of them: dictionary and tickets must grow.
  void make_many(int count);

  /// What is wrong with a share that is at rest; "" for nothing.
  std::string fault_in(Node& node) const;

  unsigned pick(unsigned below) {
    return std::uniform_int_distribution<unsigned>{0, below - 1}(random_);
  }

 private:
  void write(std::size_t user, std::string path);
  void remove(std::size_t user, const std::string& path);
  void rename(std::size_t user, const std::string& from);
  std::string own_path(std::size_t user);
  std::string content();
  std::string large_content(const std::string& head);

  std::vector<Node*> nodes_;
  std::mt19937 random_;
  unsigned written_ = 0;
  std::string large_;                          ///< written last
  std::map<std::string, std::string> own_;     ///< what is in `a` and `b`, by path
  std::map<std::string, std::string> shared_;  ///< what was written last into `c`, by path
};

}  // namespace lefting::test

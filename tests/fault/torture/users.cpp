#include "tests/fault/torture/users.h"

#include <algorithm>
#include <filesystem>

namespace lefting::test {

namespace {

namespace fs = std::filesystem;

constexpr unsigned kPaths = 60;
/// Every so many writes a file of several blocks, which is resumed after a death.
constexpr unsigned kLargeEach = 40;
constexpr std::size_t kLarge = 1'000'000;

bool is_conflict_copy(const std::string& path) { return path.find(".conflict-") != path.npos; }

}  // namespace

std::string Users::content() {
  ++written_;
  const std::string head = "content " + std::to_string(written_) + "\n";
  if (written_ % kLargeEach == 0) return large_content(head);
  return head + random_bytes(pick(8) == 0 ? 0 : pick(9000), written_);
}

/// Announced before it is hashed, made of an old version, or copied.
std::string Users::large_content(const std::string& head) {
  const unsigned kind = large_.empty() ? 0 : pick(4);
  if (kind == 0) large_ = head + random_bytes((16u << 20) + pick(2'000'000), written_);
  if (kind == 1) large_ = head + random_bytes(3'000'000 + pick(2'000'000), written_);
  if (kind == 2) large_.insert(pick(static_cast<unsigned>(large_.size())), head);
  return large_;
}

std::string Users::own_path(std::size_t user) {
  const unsigned number = pick(kPaths);
  return std::string{user == 0 ? "a" : "b"} + "/d" + std::to_string(number % 5) + "/f" +
         std::to_string(number);
}

void Users::change() {
  const std::size_t user = pick(2);
  const unsigned what = pick(10);
  if (what < 2) {
    const std::string path = "c/f" + std::to_string(pick(12));
    if (pick(4) != 0) return write(user, path);
    return remove(user, path);
  }
  const std::string path = own_path(user);
  if (what < 7) return write(user, path);
  return what < 9 ? remove(user, path) : rename(user, path);
}

void Users::make_many(int count) {
  const std::size_t user = pick(2);
  // Long paths fill the segment fast.
  const std::string folder = std::string{user == 0 ? "a" : "b"} + "/many" +
                             std::to_string(pick(8)) + std::string(200, 'x') + "/" +
                             std::string(200, 'y') + "/" + std::string(200, 'z');
  for (int i = 0; i < count; ++i) write(user, folder + "/f" + std::to_string(i));
}

void Users::write(std::size_t user, std::string path) {
  std::string text = content();
  // So that often one large file takes another's place.
  if (text.size() > kLarge && path[0] != 'c')
    path = path.substr(0, 2) + "large" + std::to_string(pick(2));
  // As editors do: whole files, so that no state between two is anybody's content.
  const std::string temporary = nodes_[user]->share("") + "../half-written-" + std::to_string(user);
  nodes_[user]->write("../half-written-" + std::to_string(user), text);
  fs::create_directories(fs::path{nodes_[user]->share(path)}.parent_path());
  fs::rename(temporary, nodes_[user]->share(path));
  (path[0] == 'c' ? shared_ : own_)[path] = std::move(text);
}

void Users::remove(std::size_t user, const std::string& path) {
  std::error_code missing;
  if (!fs::remove(nodes_[user]->share(path), missing)) return;
  (path[0] == 'c' ? shared_ : own_).erase(path);
}

void Users::rename(std::size_t user, const std::string& from) {
  const std::string to = own_path(user);
  std::error_code missing;
  fs::create_directories(fs::path{nodes_[user]->share(to)}.parent_path());
  fs::rename(nodes_[user]->share(from), nodes_[user]->share(to), missing);
  if (missing || from == to) return;
  own_[to] = std::move(own_[from]);
  own_.erase(from);
}

std::string Users::fault_in(Node& node) const {
  std::map<std::string, std::string> own;
  std::vector<std::string> beside;  // contents in `c`, whatever their names
  for (auto& [path, text] : node.tree()) {
    if (path.ends_with(".lefting")) return path + " is a partial file that nobody owns";
    if (path[0] == 'c') {
      beside.push_back(std::move(text));
    } else {
      if (is_conflict_copy(path)) return path + ": a conflict where one user alone writes";
      own.emplace(path, std::move(text));
    }
  }
  for (const auto& [path, text] : own_) {
    const auto there = own.find(path);
    if (there == own.end()) return path + " is lost: " + text.substr(0, 20);
    if (there->second != text) return path + " is not what was written last";
  }
  if (own.size() != own_.size()) {
    const auto extra =
        std::ranges::find_if(own, [this](const auto& item) { return !own_.contains(item.first); });
    return extra->first + " was removed and is back";
  }
  for (const auto& [path, text] : shared_) {
    if (std::ranges::find(beside, text) == beside.end()) {
      return path + ": what was written last is nowhere: " + text.substr(0, 20);
    }
  }
  return "";
}

}  // namespace lefting::test

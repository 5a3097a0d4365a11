#include "tests/fault/schedules/people.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "common/base/clock.h"

namespace lefting::test {

namespace {

namespace fs = std::filesystem;

/// What is not in the share yet, or not any more.
constexpr const char* kAside = "../aside";

int rename_at(const std::string& from, const std::string& to, unsigned flags) {
  return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags);
}

bool is_conflict_copy(const std::string& path) { return path.find(".conflict-") != path.npos; }

/// All contents of a share, its trash too.
std::set<std::string> contents_of(const Node& node) {
  std::set<std::string> out;
  for (const std::string& path : node.files()) out.insert(node.read(path));
  return out;
}

std::string begin_of(const std::string& content) { return content.substr(0, content.find('\n')); }

}  // namespace

std::string People::path() {
  const unsigned folder = pick(4);
  return (folder == 0 ? "" : fmt::format("d{}/", folder)) + fmt::format("f{}", pick(12));
}

std::string People::content() {
  ++written_;
  const unsigned kind = pick(12);
  const std::size_t bytes = kind == 0 ? 2'500'000 : kind < 3 ? 0 : pick(6000);
  return fmt::format("content {}\n", written_) + random_bytes(bytes, written_);
}

void People::note(const Node& node, const std::string& what) {
  journal_.push_back(fmt::format("{} {} {}", wall_ms(), node.address(), what));
}

/// `content`, which stood there, has gone by the will of a user who saw it.
void People::end(const std::string& content, const std::string& path) {
  alive_.erase(content);
  if (!moved_.contains(content)) over_[content] = path;
}

/// Not by a look and then a rename: what a peer's version brings in between nobody has seen.
bool People::put(Node& node, const std::string& path) {
  const std::string aside = node.share(kAside);
  const std::string there = node.share(path);
  for (;;) {
    if (rename_at(aside, there, RENAME_NOREPLACE) == 0) return true;
    if (errno != EEXIST) return false;
    if (rename_at(aside, there, RENAME_EXCHANGE) == 0) break;
    if (errno != ENOENT) return false;
  }
  if (!fs::is_directory(aside)) {
    const std::string before = node.read(kAside);
    note(node, fmt::format("{}: {} is overwritten", path, begin_of(before)));
    end(before, path);
    return true;
  }
  rename_at(aside, there, RENAME_EXCHANGE);
  return false;
}

void People::write(Node& node, const std::string& path) {
  if (fs::is_directory(node.share(path))) return;
  std::error_code error;
  fs::create_directories(fs::path{node.share(path)}.parent_path(), error);
  if (error) return;
  const std::string text = content();
  // As editors do: whole files, so that no state between two is anybody's content.
  const std::string temporary = node.share(kAside);
  fs::remove_all(temporary, error);  // what is there may still be read by its old name
  node.write(kAside, text);
  if (pick(4) == 0) {  // the clock of one who copies files about
    const timespec times[2] = {{1'700'000'000, 0}, {1'700'000'000, 0}};
    ::utimensat(AT_FDCWD, temporary.c_str(), times, 0);
  }
  if (!put(node, path)) return;
  note(node, fmt::format("{}: {} is written", path, begin_of(text)));
  alive_[text] = fmt::format("{} at {}", path, node.address());
}

void People::remove(Node& node, const std::string& path) {
  if (fs::is_directory(node.share(path))) return;
  if (rename_at(node.share(path), node.share(kAside), 0) != 0) return;
  const std::string before = node.read(kAside);
  note(node, fmt::format("{}: {} is removed", path, begin_of(before)));
  end(before, path);
}

void People::remove_folder(Node& node, const std::string& folder) {
  std::error_code error;
  do {
    for (const auto& [path, content] : node.tree()) {
      if (!path.starts_with(folder + "/")) continue;
      if (!path.ends_with(".lefting")) {
        remove(node, path);
      } else {
        fs::remove(node.share(path), error);
      }
    }
    fs::remove(node.share(folder), error);
  } while (error == std::errc::directory_not_empty);
}

void People::rename(Node& node, const std::string& from, const std::string& to) {
  std::error_code error;
  if (!fs::is_regular_file(node.share(from), error)) return;
  fs::create_directories(fs::path{node.share(to)}.parent_path(), error);
  if (error || fs::is_directory(node.share(to), error)) return;
  moved_.insert(node.read(from));
  if (to == from) return;
  while (rename_at(node.share(from), node.share(to), RENAME_NOREPLACE) != 0) {
    if (errno != EEXIST || fs::is_directory(node.share(to), error)) return;
    remove(node, to);
  }
  const std::string now = node.read(to);
  moved_.insert(now);  // perhaps it came just before
  note(node, fmt::format("{} is renamed to {}, now {}", from, to, begin_of(now)));
}

void People::rename_folder(Node& node) {
  const std::string from = fmt::format("d{}", 1 + pick(3));
  const std::string to = fmt::format("d{}", 1 + pick(3));
  std::error_code error;
  if (from == to || !fs::is_directory(node.share(from), error)) return;
  for (const auto& [path, content] : node.tree()) {
    if (path.starts_with(from + "/")) moved_.insert(content);
  }
  fs::rename(node.share(from), node.share(to), error);  // where the other is not there, or empty
  if (!error) note(node, fmt::format("folder {} is renamed to {}", from, to));
}

/// A file where a folder was, or the other way round.
void People::swap_file_and_folder(Node& node) {
  const std::string name = fmt::format("d{}", 1 + pick(3));
  std::error_code error;
  if (fs::is_directory(node.share(name), error)) {
    remove_folder(node, name);
    return write(node, name);
  }
  remove(node, name);
  write(node, name + "/f1");
}

void People::touch(Node& node, const std::string& path) {
  moved_.insert(node.read(path));
  if (pick(2) == 0) {
    ::chmod(node.share(path).c_str(), pick(2) == 0 ? 0600 : 0644);
  } else {
    ::utimensat(AT_FDCWD, node.share(path).c_str(), nullptr, 0);
  }
}

void People::change() {
  Node& node = *nodes_[pick(static_cast<unsigned>(nodes_.size()))];
  const unsigned what = pick(20);
  if (what < 9) return write(node, path());
  if (what < 13) return remove(node, path());
  if (what < 16) return rename(node, path(), path());
  if (what < 17) return rename_folder(node);
  if (what < 18) return swap_file_and_folder(node);
  touch(node, path());
}

/// All that was done to these paths, for who looks for a fault.
std::string People::told_of(const std::string& text) const {
  std::string out;
  for (const std::string& line : journal_) {
    if (line.find(text) != line.npos || line.find("folder") != line.npos) out += "\n" + line;
  }
  return out;
}

std::string People::fault() const {
  std::set<std::string> kept;
  for (const Node* node : nodes_) kept.merge(contents_of(*node));
  for (const auto& [content, about] : alive_) {
    if (kept.contains(content)) continue;
    return fmt::format("{}, {}, is lost{}", begin_of(content), about,
                       told_of(about.substr(0, about.find(' '))));
  }
  for (const auto& [path, content] : nodes_[0]->tree()) {
    if (path.ends_with(".lefting")) return path + " is left over";
    const auto ended = over_.find(content);
    const bool is_back = ended != over_.end() && !moved_.contains(content) &&
                         ended->second == path && !is_conflict_copy(path);
    if (is_back) return fmt::format("{} is back at {}{}", begin_of(content), path, told_of(path));
  }
  return "";
}

}  // namespace lefting::test

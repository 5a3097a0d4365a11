#include "tests/fault/schedules/people.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

namespace lefting::test {

namespace {

namespace fs = std::filesystem;

bool is_conflict_copy(const std::string& path) { return path.find(".conflict-") != path.npos; }

/// All contents of a share, its trash too.
std::set<std::string> contents_of(const Node& node) {
  std::set<std::string> out;
  std::error_code vanished;
  for (fs::recursive_directory_iterator item{node.share(), vanished};
       !vanished && item != fs::recursive_directory_iterator{}; item.increment(vanished)) {
    if (item->is_regular_file(vanished)) {
      out.insert(node.read(item->path().string().substr(node.share().size())));
    }
  }
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

/// What stands there is about to go by the will of a user who sees it.
void People::end(Node& node, const std::string& path) {
  const std::string content = node.read(path);
  if (content.empty()) return;
  alive_.erase(content);
  if (!moved_.contains(content)) over_[content] = path;
}

void People::end_folder(Node& node, const std::string& folder) {
  for (const auto& [path, content] : node.tree()) {
    if (path.starts_with(folder + "/")) end(node, path);
  }
}

void People::write(Node& node, const std::string& path) {
  if (fs::is_directory(node.share(path))) return;
  std::error_code error;
  fs::create_directories(fs::path{node.share(path)}.parent_path(), error);
  if (error) return;
  const std::string text = content();
  // As editors do: whole files, so that no state between two is anybody's content.
  const std::string temporary = node.share("../half-written");
  node.write("../half-written", text);
  if (pick(4) == 0) {  // the clock of one who copies files about
    const timespec times[2] = {{1'700'000'000, 0}, {1'700'000'000, 0}};
    ::utimensat(AT_FDCWD, temporary.c_str(), times, 0);
  }
  end(node, path);
  fs::rename(temporary, node.share(path), error);
  if (!error) alive_[text] = fmt::format("{} at {}", path, node.address());
}

void People::remove(Node& node, const std::string& path) {
  std::error_code error;
  end(node, path);
  fs::remove(node.share(path), error);
}

void People::rename(Node& node, const std::string& from, const std::string& to) {
  std::error_code error;
  if (!fs::is_regular_file(node.share(from), error)) return;
  fs::create_directories(fs::path{node.share(to)}.parent_path(), error);
  if (error || fs::is_directory(node.share(to), error)) return;
  moved_.insert(node.read(from));
  if (to != from) end(node, to);
  fs::rename(node.share(from), node.share(to), error);
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
}

/// A file where a folder was, or the other way round.
void People::swap_file_and_folder(Node& node) {
  const std::string name = fmt::format("d{}", 1 + pick(3));
  std::error_code error;
  if (fs::is_directory(node.share(name), error)) {
    end_folder(node, name);
    fs::remove_all(node.share(name), error);
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

std::string People::fault() const {
  std::set<std::string> kept;
  for (const Node* node : nodes_) kept.merge(contents_of(*node));
  for (const auto& [content, about] : alive_) {
    if (!kept.contains(content)) return fmt::format("{}, {}, is lost", begin_of(content), about);
  }
  for (const auto& [path, content] : nodes_[0]->tree()) {
    if (path.ends_with(".lefting")) return path + " is left over";
    const auto ended = over_.find(content);
    const bool is_back = ended != over_.end() && !moved_.contains(content) &&
                         ended->second == path && !is_conflict_copy(path);
    if (is_back) return fmt::format("{} is back at {}", begin_of(content), path);
  }
  return "";
}

}  // namespace lefting::test

#include "tests/model/disk.h"

#include <algorithm>
#include <cstring>

namespace lefting::model {

namespace {

bool lies_below(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

template <class Map>
bool has_below(const Map& map, const std::string& folder) {
  const auto at = map.lower_bound(folder + "/");
  return at != map.end() && lies_below(at->first, folder);
}

}  // namespace

ContentHash hash_of(Content content, HashKind kind) {
  ContentHash hash{.kind = kind};
  std::memcpy(hash.bytes.data(), &content, sizeof content);
  return hash;
}

ContentHashes hashes_of(Content content, HashKinds kinds) {
  ContentHashes hashes;
  if (kinds.sha256) hashes.sha256 = hash_of(content, HashKind::sha256);
  if (kinds.blake3) hashes.blake3 = hash_of(content, HashKind::blake3);
  return hashes;
}

bool Disk::is_folder(const std::string& path) const {
  return has_below(files_, path) || has_below(partials_, path);
}

bool Disk::is_blocked(const std::string& path) const {
  for (auto slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    if (files_.contains(path.substr(0, slash))) return true;
  }
  return false;
}

std::optional<share::FileStat> Disk::stat(const std::string& path) const {
  if (const auto at = files_.find(path); at != files_.end()) return at->second.stat;
  if (!is_folder(path)) return std::nullopt;
  share::FileStat folder;
  folder.type = share::FileType::folder;
  return folder;
}

Content Disk::content(const std::string& path) const {
  const auto at = files_.find(path);
  return at == files_.end() ? kNothing : at->second.content;
}

std::set<std::string> Disk::paths() const {
  std::set<std::string> out;
  for (const auto& [path, file] : files_) out.insert(path);
  return out;
}

/// A user's change makes all before it durable: that is the simplest world in which nothing of a
/// user is lost in a power cut.
void Disk::clear_way(const std::string& path) {
  undo_.clear();
  std::erase_if(files_, [&](const auto& item) {
    return lies_below(item.first, path) || lies_below(path, item.first);
  });
  std::erase_if(partials_, [&](const auto& item) {
    return lies_below(item.first, path) || lies_below(path, item.first);
  });
}

void Disk::user_write(const std::string& path, Content content, std::uint64_t size,
                      std::int64_t mtime_ns) {
  clear_way(path);
  File& file = files_[path];
  if (file.stat.inode == 0 || next_ctime_ % 2 == 0) file.stat.inode = next_inode_++;
  file.stat.type = share::FileType::file;
  file.stat.size = size;
  file.stat.mtime_ns = mtime_ns;
  file.stat.ctime_ns = next_ctime_++;
  file.stat.mode = 0644;
  file.content = content;
  file.on_disk = true;
}

void Disk::user_remove(const std::string& path) {
  undo_.clear();
  files_.erase(path);
}

void Disk::user_rename(const std::string& from, const std::string& to) {
  const auto at = files_.find(from);
  if (at == files_.end() || from == to) return;
  File file = at->second;
  files_.erase(at);
  clear_way(to);
  file.stat.ctime_ns = next_ctime_++;
  files_[to] = file;
}

void Disk::user_touch(const std::string& path, std::int64_t mtime_ns) {
  const auto at = files_.find(path);
  if (at == files_.end()) return;
  undo_.clear();
  at->second.stat.mtime_ns = mtime_ns;
  at->second.stat.ctime_ns = next_ctime_++;
}

Partial* Disk::open_partial(const std::string& path, bool resume) {
  if (is_blocked(path)) return nullptr;
  if (!resume) partials_.erase(path);
  return &partials_[path];
}

Partial* Disk::partial(const std::string& path) {
  const auto at = partials_.find(path);
  return at == partials_.end() ? nullptr : &at->second;
}

bool Disk::is_expected(const std::string& path, const share::FileStat& expected) const {
  const auto at = files_.find(path);
  return at != files_.end() && at->second.stat == expected;
}

void Disk::note(const std::vector<std::string>& paths) {
  auto& step = undo_.emplace_back();
  for (const std::string& path : paths) {
    const auto at = files_.find(path);
    step[path] = at == files_.end() ? std::optional<File>{} : at->second;
  }
}

std::optional<share::FileStat> Disk::publish(const std::string& path, std::uint64_t size,
                                             const std::optional<share::FileStat>& expected) {
  const auto partial = partials_.find(path);
  if (partial == partials_.end() || is_blocked(path)) return std::nullopt;
  if (expected ? !is_expected(path, *expected) : files_.contains(path)) return std::nullopt;
  Partial whole = partial->second;
  partials_.erase(partial);
  if (is_folder(path)) {
    partials_.emplace(path, whole);
    return std::nullopt;
  }
  note({path});
  const bool is_whole = std::ranges::all_of(
      whole.blocks, [&](Content block) { return block == whole.blocks[0] && block > 0; });
  File& file = files_[path];
  file.content = is_whole ? whole.blocks[0] : kTorn;
  file.on_disk = whole.on_disk;
  file.stat = {.type = share::FileType::file,
               .size = size,
               .mtime_ns = whole.mtime_ns,
               .ctime_ns = next_ctime_++,
               .inode = next_inode_++,
               .mode = 0644};
  return file.stat;
}

bool Disk::remove(const std::string& path, const share::FileStat& expected) {
  if (!is_expected(path, expected)) return false;
  note({path});
  files_.erase(path);
  return true;
}

bool Disk::rename(const std::string& path, const share::FileStat& expected, const std::string& to) {
  if (!is_expected(path, expected) || files_.contains(to) || is_folder(to)) return false;
  note({path, to});
  files_[to] = files_[path];
  files_.erase(path);
  files_[to].stat.ctime_ns = next_ctime_++;
  return true;
}

std::optional<share::FileStat> Disk::link(const std::string& path, const share::FileStat& expected,
                                          const std::string& second) {
  if (!is_expected(path, expected) || files_.contains(second)) return std::nullopt;
  note({path, second});
  files_[path].stat.ctime_ns = next_ctime_++;
  files_[second] = files_[path];
  return files_[path].stat;
}

std::optional<share::FileStat> Disk::restamp(const std::string& path,
                                             const share::FileStat& expected,
                                             std::int64_t mtime_ns) {
  if (!is_expected(path, expected)) return std::nullopt;
  share::FileStat& stat = files_[path].stat;
  if (stat.mtime_ns == mtime_ns) return stat;
  note({path});
  stat.mtime_ns = mtime_ns;
  stat.ctime_ns = next_ctime_++;
  return stat;
}

void Disk::power_cut(std::mt19937_64& random) {
  // A journal: of what was not synced a first part is on disk.
  for (std::size_t kept = random() % (undo_.size() + 1); undo_.size() > kept; undo_.pop_back()) {
    for (const auto& [path, before] : undo_.back()) {
      if (before) {
        files_[path] = *before;
      } else {
        files_.erase(path);
      }
    }
  }
  undo_.clear();
  for (auto& [path, file] : files_) {
    if (!file.on_disk && random() % 2 == 0) file.content = kTorn;
    file.on_disk = true;
  }
  for (auto& [path, partial] : partials_) {
    for (Content& block : partial.blocks) {
      if (!partial.on_disk && random() % 2 == 0) block = kTorn;
    }
  }
}

}  // namespace lefting::model

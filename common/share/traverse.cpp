#include "common/share/traverse.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "common/share/marker.h"
#include "common/share/path.h"
#include "common/share/trash.h"

namespace lefting::share {

namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

class Traversal {
 public:
  Traversal(const Share& share, const Visitor& visitor) : share_{share}, visitor_{visitor} {}

  TraversalCounts run(const std::string& from) {
    pending_.push_back(from);
    while (!pending_.empty() && !ended_) {
      const std::string folder = std::move(pending_.back());
      pending_.pop_back();
      read_folder(folder);
    }
    return counts_;
  }

 private:
  void trouble(const Error& error, const std::string& folder) {
    // What vanished while we looked is no trouble: its absence is seen by who compares.
    if (error.code.value() == ENOENT || error.code.value() == ENOTDIR) return;
    ++counts_.unreadable;
    visitor_.trouble(error, folder);
  }

  void read_folder(const std::string& folder) {
    auto fd = share_.open_folder(folder);
    if (!fd) return trouble(fd.error(), folder);
    const int folder_fd = fd.value().get();
    if (visitor_.folder) visitor_.folder(folder, folder_fd);
    ++counts_.folders;
    const std::unique_ptr<DIR, CloseDir> dir{::fdopendir(folder_fd)};
    if (!dir) return trouble(os_error(errno, "read folder", folder), folder);
    static_cast<void>(fd.value().release());  // closedir closes it
    path_ = folder;
    if (!path_.empty()) path_ += '/';
    const std::size_t prefix = path_.size();
    while (!ended_) {
      errno = 0;
      const dirent* item = ::readdir(dir.get());
      if (item == nullptr) {
        if (errno != 0) trouble(os_error(errno, "read folder", folder), folder);
        return;
      }
      if (std::strcmp(item->d_name, ".") == 0 || std::strcmp(item->d_name, "..") == 0) continue;
      path_.resize(prefix);
      path_ += item->d_name;
      visit(folder, folder_fd, *item);
    }
  }

  void visit(const std::string& folder, int folder_fd, const dirent& item) {
    if (path_.size() > 4096) {
      return trouble(os_error(ENAMETOOLONG, "look at", fmt::format("{}…", path_.substr(0, 200))),
                     folder);
    }
    if (item.d_type == DT_DIR) return enter(item);
    if (item.d_type != DT_REG && item.d_type != DT_UNKNOWN) return skip();
    struct stat raw;
    if (::fstatat(folder_fd, item.d_name, &raw, AT_SYMLINK_NOFOLLOW) != 0) {
      return trouble(os_error(errno, "look at", path_), folder);
    }
    const FileStat stat = to_file_stat(raw);
    if (stat.type == FileType::folder) return enter(item);
    if (path_ == kMarkerName) return;
    if (stat.type == FileType::other) return skip();
    if (is_partial_name(item.d_name)) {
      if (visitor_.partial) visitor_.partial(path_);
      return;
    }
    ++counts_.files;
    if (!visitor_.file(path_, stat)) ended_ = true;
  }

  void skip() {
    ++counts_.skipped;
    if (visitor_.skipped) visitor_.skipped(path_);
  }

  /// No peer takes a path with a reserved name in it, so there is nothing to find below one.
  void enter(const dirent& item) {
    if (path_ == kTrashName) return;
    if (is_partial_name(item.d_name)) {
      skip();
    } else if (!visitor_.enters || visitor_.enters(path_)) {
      pending_.push_back(path_);
    }
  }

  const Share& share_;
  const Visitor& visitor_;
  std::vector<std::string> pending_;
  std::string path_;
  TraversalCounts counts_;
  bool ended_ = false;
};

}  // namespace

TraversalCounts traverse(const Share& share, const std::string& from, const Visitor& visitor) {
  return Traversal{share, visitor}.run(from);
}

}  // namespace lefting::share

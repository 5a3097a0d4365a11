#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/share/share.h"

namespace lefting::model {

/// What a file holds, told by one number. Each is written by a user once.
using Content = int;
inline constexpr Content kNothing = 0;
/// Bytes that nobody wrote so: what a power cut leaves of a file that was not on disk.
inline constexpr Content kTorn = -1;
ContentHash hash_of(Content content, HashKind kind);
ContentHashes hashes_of(Content content, HashKinds kinds = HashKinds::both());

/// A file comes in so many pieces.
inline constexpr std::size_t kBlocks = 2;

struct File {
  share::FileStat stat;
  Content content = kNothing;
  bool on_disk = true;  ///< its bytes, that is
  bool operator==(const File&) const = default;
};

/// NAME.lefting of the file in question.
struct Partial {
  std::array<Content, kBlocks> blocks{};
  std::int64_t mtime_ns = 0;
  bool on_disk = false;
};

/// A share's folder. What users do is on disk at once; what Lefting does is once it is synced.
class Disk {
 public:
  std::optional<share::FileStat> stat(const std::string& path) const;
  Content content(const std::string& path) const;
  std::set<std::string> paths() const;
  const std::map<std::string, File>& files() const { return files_; }
  const std::map<std::string, Partial>& partials() const { return partials_; }
  /// A file stands where a folder would have to.
  bool is_blocked(const std::string& path) const;

  // A user's. What is in the way is removed before.
  void user_write(const std::string& path, Content content, std::uint64_t size,
                  std::int64_t mtime_ns);
  void user_remove(const std::string& path);
  void user_rename(const std::string& from, const std::string& to);
  void user_touch(const std::string& path, std::int64_t mtime_ns);

  // Lefting's. Those that give a bool or a stat do nothing where the path is not as expected.
  Partial* open_partial(const std::string& path, bool resume);
  Partial* partial(const std::string& path);
  void discard_partial(const std::string& path) { partials_.erase(path); }
  std::optional<share::FileStat> publish(const std::string& path, std::uint64_t size,
                                         const std::optional<share::FileStat>& expected);
  bool remove(const std::string& path, const share::FileStat& expected);
  bool rename(const std::string& path, const share::FileStat& expected, const std::string& to);
  std::optional<share::FileStat> link(const std::string& path, const share::FileStat& expected,
                                      const std::string& second);
  std::optional<share::FileStat> restamp(const std::string& path, const share::FileStat& expected,
                                         std::int64_t mtime_ns);
  void sync_names() { undo_.clear(); }
  void power_cut(std::mt19937_64& random);

 private:
  bool is_expected(const std::string& path, const share::FileStat& expected) const;
  bool is_folder(const std::string& path) const;
  void note(const std::vector<std::string>& paths);
  void clear_way(const std::string& path);

  std::map<std::string, File> files_;
  std::map<std::string, Partial> partials_;  ///< by the name of the whole file
  /// What Lefting has changed and not synced, step by step: the paths as they were before.
  std::vector<std::map<std::string, std::optional<File>>> undo_;
  std::uint64_t next_inode_ = 1;
  std::int64_t next_ctime_ = 1;
};

}  // namespace lefting::model

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/share/share.h"

namespace lefting::share {

/// The file in the share that says what is not to be synced. It is synced itself, whatever it says.
inline constexpr std::string_view kIgnoreName = ".leftingignore";
inline constexpr std::size_t kMostIgnoreBytes = 1u << 20;

/// Rules in the syntax of gitignore(5), relative to the share.
class IgnoreRules {
 public:
  IgnoreRules() = default;
  /// As git does, takes any text: what is no valid pattern matches nothing.
  explicit IgnoreRules(std::string_view text);

  /// Whether a path is ignored, where no folder above it is.
  bool match(std::string_view path, bool is_folder) const;
  /// Whether a path is ignored, or a folder above it.
  bool covers(std::string_view path, bool is_folder = false) const;

 private:
  /// What one component of a path must be.
  struct Part {
    enum class Kind { name, glob, folders, nothing };
    Kind kind = Kind::name;
    std::string text;
  };
  struct Pattern {
    std::vector<Part> parts;
    bool includes = false;      ///< begins with '!'
    bool only_folders = false;  ///< ends with '/'
    bool anchored = false;      ///< of the whole path, not only of its last component
  };
  static std::optional<Pattern> parse(std::string_view line);
  static Part parse_part(std::string_view text);
  static bool fits(const Part& part, std::string_view name);
  static bool fits(const Pattern& pattern, std::string_view path);

  std::vector<Pattern> patterns_;
};

/// Errors: `path` is the rules' file, and larger than what is read.
Status check_ignore_file(std::string_view path, std::uint64_t size_bytes);

/// The share's rules as they are now. Used by one thread.
class IgnoreFile {
 public:
  /// `share` must outlive it.
  explicit IgnoreFile(const Share& share) : share_{share} {}

  /// Reads the rules again if the file was changed and has been left alone for a second since: an
  /// editor may have only begun. Errors: it is no regular file, larger than 1 MiB, or unreadable;
  /// then rules() are what they were, and nobody knows what is to be ignored.
  Status refresh();
  /// It is to be read again soon.
  bool settling() const { return settling_; }
  const IgnoreRules& rules() const { return rules_; }
  /// Tells these rules from others; empty where there is no file.
  const std::string& digest() const { return digest_; }

 private:
  Status read();

  const Share& share_;
  std::optional<FileStat> seen_;
  bool known_ = false;  ///< refresh() was successful once
  bool settling_ = false;
  IgnoreRules rules_;
  std::string digest_;
};

}  // namespace lefting::share

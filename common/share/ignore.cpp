#include "common/share/ignore.h"

#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <span>

#include "common/base/clock.h"
#include "common/base/os.h"
#include "common/share/hash.h"
#include "common/share/path.h"

namespace lefting::share {

namespace {

constexpr std::int64_t kQuietNs = 1'000'000'000;
constexpr const char* kAdvice =
    "nothing is synced before it can be read: put it right or remove it";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// Trailing spaces don't count, unless a backslash stands before one.
std::string_view without_trailing_spaces(std::string_view line) {
  std::size_t end = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      end = std::min(++i + 1, line.size());
    } else if (line[i] != ' ') {
      end = i + 1;
    }
  }
  return line.substr(0, end);
}

/// The place behind a bracket expression that begins at `at`; npos: it has no end.
std::size_t end_of_bracket(std::string_view text, std::size_t at) {
  ++at;
  if (at < text.size() && (text[at] == '!' || text[at] == '^')) ++at;
  for (bool first = true; at < text.size(); first = false) {
    if (text[at] == ']' && !first) return at + 1;
    if (text[at] == '[' && at + 1 < text.size() && text[at + 1] == ':') {
      const auto end = text.find(']', at + 2);
      if (end != text.npos && end > at + 2 && text[end - 1] == ':') {
        at = end + 1;
        continue;
      }
    }
    at += text[at] == '\\' ? 2 : 1;
  }
  return text.npos;
}

/// The next slash that ends a component: one in a bracket expression doesn't, an escaped one does.
std::size_t find_slash(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '/') return at;
    if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] != '/') ++at;
    const auto end = text[at] == '[' ? end_of_bracket(text, at) : at + 1;
    if (end == text.npos) return text.npos;
    at = end;
  }
  return text.npos;
}

}  // namespace

IgnoreRules::IgnoreRules(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with('#')) continue;
    if (auto pattern = parse(without_trailing_spaces(line))) {
      patterns_.push_back(std::move(*pattern));
    }
  }
}

std::optional<IgnoreRules::Pattern> IgnoreRules::parse(std::string_view line) {
  Pattern out;
  if (line.starts_with('!')) {
    out.includes = true;
    line.remove_prefix(1);
  }
  if (line.ends_with('/')) {
    out.only_folders = true;
    line.remove_suffix(1);
  }
  if (line.empty()) return std::nullopt;
  out.anchored = line.find('/') != line.npos;
  if (line.starts_with('/')) line.remove_prefix(1);
  for (;;) {
    const auto slash = find_slash(line);
    std::string_view text = line.substr(0, slash);
    if (slash != line.npos && text.ends_with('\\')) text.remove_suffix(1);  // it was escaped
    Part part = parse_part(text);
    const bool again = part.kind == Part::Kind::folders && !out.parts.empty() &&
                       out.parts.back().kind == Part::Kind::folders;
    if (!again) out.parts.push_back(std::move(part));
    if (slash == line.npos) break;
    line.remove_prefix(slash + 1);
  }
  return out;
}

IgnoreRules::Part IgnoreRules::parse_part(std::string_view text) {
  if (text.empty()) return {Part::Kind::nothing, {}};
  if (text.size() >= 2 && text.find_first_not_of('*') == text.npos) {
    return {Part::Kind::folders, "*"};
  }
  Part out;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\\') {
      if (at + 1 == text.size()) return {Part::Kind::nothing, {}};
      at += 2;
    } else if (text[at] == '[') {
      at = end_of_bracket(text, at);
      if (at == text.npos) return {Part::Kind::nothing, {}};
      out.kind = Part::Kind::glob;
    } else {
      if (text[at] == '*' || text[at] == '?') out.kind = Part::Kind::glob;
      ++at;
    }
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (out.kind == Part::Kind::name && text[at] == '\\') ++at;
    out.text += text[at];
  }
  return out;
}

bool IgnoreRules::fits(const Part& part, std::string_view name) {
  switch (part.kind) {
    case Part::Kind::name:
      return part.text == name;
    case Part::Kind::glob:
      return ::fnmatch(part.text.c_str(), std::string{name}.c_str(), 0) == 0;
    case Part::Kind::folders:
      return true;
    case Part::Kind::nothing:
      return false;
  }
  return false;
}

bool IgnoreRules::fits(const Pattern& pattern, std::string_view path) {
  const auto& parts = pattern.parts;
  if (!pattern.anchored) return fits(parts[0], split_path(path).name);
  const auto beyond = [](std::string_view rest) {
    const auto slash = rest.find('/');
    return slash == rest.npos ? std::string_view{} : rest.substr(slash + 1);
  };
  // Where a later part doesn't fit, the last "**" takes one component more.
  std::size_t part = 0;
  std::optional<std::size_t> folders;
  std::string_view from;
  while (!path.empty()) {
    if (part < parts.size() && parts[part].kind == Part::Kind::folders) {
      if (part + 1 == parts.size()) return true;
      folders = part++;
      from = path;
    } else if (part < parts.size() && fits(parts[part], path.substr(0, path.find('/')))) {
      ++part;
      path = beyond(path);
    } else {
      if (!folders) return false;
      path = from = beyond(from);
      part = *folders + 1;
    }
  }
  return part == parts.size();
}

bool IgnoreRules::match(std::string_view path, bool is_folder) const {
  if (path == kIgnoreName) return false;
  for (auto pattern = patterns_.rbegin(); pattern != patterns_.rend(); ++pattern) {
    if (pattern->only_folders && !is_folder) continue;
    if (fits(*pattern, path)) return !pattern->includes;
  }
  return false;
}

bool IgnoreRules::covers(std::string_view path, bool is_folder) const {
  if (patterns_.empty()) return false;
  for (auto slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    if (match(path.substr(0, slash), true)) return true;
  }
  return match(path, is_folder);
}

Status check_ignore_file(std::string_view path, std::uint64_t size_bytes) {
  if (path != kIgnoreName || size_bytes <= kMostIgnoreBytes) return {};
  return plain_error("read " + std::string{kIgnoreName}, "it is larger than 1 MiB", kAdvice);
}

Status IgnoreFile::refresh() {
  auto now = share_.stat(kIgnoreName);
  settling_ = false;
  if (!now) return now.error();
  if (known_ && now.value() == seen_) return {};
  const auto wall_ns = static_cast<std::int64_t>(wall_ms()) * 1'000'000;
  const std::int64_t age = now.value() ? wall_ns - now.value()->ctime_ns : kQuietNs;
  settling_ = known_ && std::abs(age) < kQuietNs;
  if (settling_) return {};
  if (now.value()) {
    if (auto done = read(); !done) return done;
  } else {
    rules_ = {};
    digest_.clear();
  }
  seen_ = now.value();
  known_ = true;
  return {};
}

Status IgnoreFile::read() {
  const auto fd = share_.open_file(kIgnoreName);
  if (!fd) return os_error(fd.error().code.value(), "read", std::string{kIgnoreName}, kAdvice);
  std::string text(kMostIgnoreBytes + 1, '\0');
  const auto size = pread_all(fd.value().get(), std::as_writable_bytes(std::span{text}), 0);
  if (!size) {
    return os_error(size.error().code.value(), "read", std::string{kIgnoreName}, kAdvice);
  }
  if (auto good = check_ignore_file(kIgnoreName, size.value()); !good) return good;
  text.resize(size.value());
  rules_ = IgnoreRules{text};
  digest_ = to_text(hash_bytes(std::as_bytes(std::span{text}), HashKind::sha256));
  return {};
}

}  // namespace lefting::share

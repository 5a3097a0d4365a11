#include "common/share/path.h"

#include <fmt/core.h>
#include <xxhash.h>

namespace lefting::share {

namespace {

constexpr std::size_t kMaxName = 255;

}  // namespace

bool is_partial_name(std::string_view name) { return name.ends_with(kPartialSuffix); }

std::string partial_name(std::string_view name) {
  if (name.size() + kPartialSuffix.size() <= kMaxName) {
    return std::string{name} + std::string{kPartialSuffix};
  }
  const std::string hash = fmt::format(".{:016x}", XXH3_64bits(name.data(), name.size()));
  const std::size_t room = kMaxName - hash.size() - kPartialSuffix.size();
  return std::string{name.substr(0, room)} + hash + std::string{kPartialSuffix};
}

std::optional<std::string_view> whole_name(std::string_view partial_name) {
  if (!is_partial_name(partial_name) || partial_name.size() >= kMaxName) return std::nullopt;
  return partial_name.substr(0, partial_name.size() - kPartialSuffix.size());
}

SplitPath split_path(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == path.npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string join_path(std::string_view folder, std::string_view name) {
  std::string out{folder};
  if (!out.empty()) out += '/';
  return out += name;
}

std::string partial_path(std::string_view path) {
  const auto [folder, name] = split_path(path);
  return join_path(folder, partial_name(name));
}

}  // namespace lefting::share

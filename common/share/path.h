#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lefting::share {

/// Ends the name of a file that is being received; such names are never listed, served, accepted.
inline constexpr std::string_view kPartialSuffix = ".lefting";

bool is_partial_name(std::string_view name);

/// The name of the partial file of `name`: NAME.lefting. Where that is beyond the 255 bytes that a
/// name may have, the front of NAME and a hash of all of it.
std::string partial_name(std::string_view name);
/// The name whose partial file that is; nothing where the partial name may hold only a hash of it.
std::optional<std::string_view> whole_name(std::string_view partial_name);

/// The path of a path's partial file.
std::string partial_path(std::string_view path);

struct SplitPath {
  std::string_view folder;  ///< "" for the share itself
  std::string_view name;
};
SplitPath split_path(std::string_view path);
/// "folder/name", or "name" where `folder` is "".
std::string join_path(std::string_view folder, std::string_view name);

}  // namespace lefting::share

// The trash of a share, as its user wants it. What is put back is a change of the user's like any
// other: the scanner finds it.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <tuple>
#include <vector>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/share/trash.h"
#include "supervisor/commands.h"
#include "supervisor/dump_json.h"
#include "supervisor/human.h"
#include "supervisor/prepare.h"
#include "supervisor/table.h"

namespace lefting::supervisor {

namespace {

namespace fs = std::filesystem;
using share::Trashed;

Result<share::Share> open_share_of(const InstancePaths& paths) {
  return share::Share::open(last_settings(paths).share);
}

/// All in the trash, oldest first.
std::vector<Trashed> all_trashed(const share::Share& share) {
  std::vector<Trashed> all;
  share::for_each_trashed(share, [&](const Trashed& trashed) { all.push_back(trashed); });
  std::ranges::sort(all, [](const Trashed& one, const Trashed& other) {
    return std::tie(one.time, one.path) < std::tie(other.time, other.path);
  });
  return all;
}

/// The path within the share, whether given so, from the root, or from the working folder.
std::string path_within(const share::Share& share, const std::string& given) {
  fs::path path{given};
  std::error_code error;
  if (path.is_relative() && fs::exists(fs::current_path(error) / path, error)) {
    const fs::path here = fs::absolute(path).lexically_relative(share.folder());
    if (!here.empty() && *here.begin() != "..") path = here;
  }
  if (path.is_absolute()) path = path.lexically_relative(share.folder());
  std::string text = path.lexically_normal().string();
  while (text.ends_with('/')) text.pop_back();
  return text;
}

bool is_or_lies_in(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

}  // namespace

int trash_list_command(const InstancePaths& paths, bool json) {
  const auto share = open_share_of(paths);
  if (!share) return fail(share.error());
  const std::vector<Trashed> all = all_trashed(share.value());
  if (json) {
    write_trash_json(stdout, all);
    return kToolDone;
  }
  Table table{{{"TIME (UTC)"}, {"SIZE", Table::Align::right}, {"PATH"}}};
  for (const Trashed& trashed : all) {
    table.add_row({trashed.time, human_size(trashed.stat.size), trashed.path});
  }
  for (const std::string& line : table.take_lines()) std::puts(line.c_str());
  return kToolDone;
}

int trash_empty_command(const InstancePaths& paths) {
  const auto share = open_share_of(paths);
  if (!share) return fail(share.error());
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  for (const Trashed& trashed : all_trashed(share.value())) {
    if (auto gone = share::remove_trashed(share.value(), trashed); !gone) return fail(gone.error());
    ++files;
    bytes += trashed.stat.size;
  }
  std::printf("%s, %s\n", counted(files, "file").c_str(), human_size(bytes).c_str());
  return kToolDone;
}

int restore_command(const InstancePaths& paths, const std::string& given, const std::string& at) {
  const auto share = open_share_of(paths);
  if (!share) return fail(share.error());
  const std::string path = path_within(share.value(), given);
  std::map<std::string, Trashed> newest;
  for (const Trashed& trashed : all_trashed(share.value())) {
    const bool meant = is_or_lies_in(trashed.path, path) && trashed.time.starts_with(at);
    if (meant) newest.insert_or_assign(trashed.path, trashed);
  }
  if (newest.empty()) {
    return fail(plain_error("restore \"" + path + "\"",
                            "the trash has nothing of it" + (at.empty() ? "" : " of " + at),
                            "`supervisor trash list` shows what there is"));
  }
  int result = kToolDone;
  for (const auto& [name, trashed] : newest) {
    // Of a folder only what is missing, unless a time says what is wanted.
    const auto there = share.value().stat(name);
    if (name != path && at.empty() && there && there.value()) continue;
    const auto done = share::restore_trashed(share.value(), trashed, wall_ms());
    if (!done) {
      result = fail(done.error());
      continue;
    }
    std::printf("%s, as it was until %s\n", printable(name).c_str(), trashed.time.c_str());
  }
  return result;
}

}  // namespace lefting::supervisor

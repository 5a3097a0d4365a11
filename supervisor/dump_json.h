#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "common/share/trash.h"
#include "common/state/peers.h"
#include "supervisor/view.h"

namespace lefting::supervisor {

/// Writes JSON to `out`, a line each. Field names: DESIGN, "The programs"; docs/STATE.md.
/// `glob` limits files and tickets by path (`*` takes `/` too); empty: all.

/// The object with everything in it; files are streamed.
void write_state_json(std::FILE* out, View& view, const std::string& glob);
/// The same, with `counts` in the place of `tickets` and `files`.
void write_summary_json(std::FILE* out, View& view);
/// Only what stands in the object under that name.
void write_roles_json(std::FILE* out, View& view);
void write_peers_json(std::FILE* out, const std::vector<state::PeerView>& peers);
void write_tickets_json(std::FILE* out, View& view, const std::string& glob);
void write_files_json(std::FILE* out, View& view, const std::string& glob);
/// An array of {`path`, `original`, `size`, `mtime`, `device`}: the copies that conflicts left.
void write_conflicts_json(std::FILE* out, View& view, const std::string& glob);
/// An array of {`path`, `reason`, `error`}. Errors: for_each_unsynced().
Status write_unsynced_json(std::FILE* out, View& view, const std::string& glob);
/// An array of {`time`, `path`, `size`, `mtime`}.
void write_trash_json(std::FILE* out, const std::vector<share::Trashed>& trash);

/// True if `path` is one that `glob` means.
bool path_matches(const std::string& path, const std::string& glob);
/// How a ticket names its sources: device IDs, or the address where there is no ID yet.
std::vector<std::string> source_names(std::uint64_t sources,
                                      const std::vector<state::PeerView>& peers);

}  // namespace lefting::supervisor

#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "common/state/peers.h"
#include "supervisor/view.h"

namespace lefting::supervisor {

/// The state as people read it, in lines. `glob` limits files and tickets by path.

/// Device, name, share, listening address, counts.
std::vector<std::string> summary_lines(View& view);
std::vector<std::string> role_lines(View& view);
std::vector<std::string> peer_lines(const std::vector<state::PeerView>& peers);

/// Summary, roles, peers and the first tickets.
std::vector<std::string> overview_lines(View& view, const std::string& glob);

/// Print as it comes what may be longer than memory.
void print_tickets(std::FILE* out, View& view, const std::string& glob);
void print_files(std::FILE* out, View& view, const std::string& glob);

void print_conflicts(std::FILE* out, View& view, const std::string& glob);
/// Errors: for_each_unsynced().
Status print_unsynced(std::FILE* out, View& view, const std::string& glob);

}  // namespace lefting::supervisor

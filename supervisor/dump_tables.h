#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "common/state/peers.h"
#include "supervisor/view.h"

namespace lefting::supervisor {

/// The state as people read it, in lines. `glob` limits tickets by path; `most`: how many tickets.

/// Device, name, share, listening address, counts.
std::vector<std::string> summary_lines(View& view);
std::vector<std::string> role_lines(View& view);
std::vector<std::string> peer_lines(const std::vector<state::PeerView>& peers);
std::vector<std::string> ticket_lines(View& view, const std::string& glob, std::size_t most);

/// Summary, roles, peers and the first tickets.
std::vector<std::string> overview_lines(View& view, const std::string& glob);

/// Prints the files whose paths `glob` means, as they come.
void print_files(std::FILE* out, View& view, const std::string& glob);

}  // namespace lefting::supervisor

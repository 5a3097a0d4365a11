#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lefting::supervisor {

/// What `dumpstate --watch` shows at one moment.
struct WatchFrame {
  struct Transfer {
    std::string path;
    std::uint64_t size_bytes = 0;
    std::uint64_t done_bytes = 0;
    std::uint64_t per_second = 0;  ///< bytes; 0: not known, or it stands still
    bool deletion = false;
  };
  struct Waiting {
    std::string path;
    std::string state;  ///< waiting or failed
    std::string reason;
    std::optional<std::uint64_t> again_in_ms;
  };

  std::vector<std::string> head;
  std::vector<std::string> roles;
  std::vector<std::string> peers;
  std::string traffic;
  std::vector<Transfer> transfers;
  std::uint64_t active = 0;  ///< transfers there are; not all need be among `transfers`
  std::vector<Waiting> waiting;
  std::uint64_t waiting_count = 0;  ///< likewise
  std::uint64_t queued = 0;
  std::string queue_reason;  ///< why the queued ones are not worked on
};

/// The frame in at most `rows` lines, 0: any number. Each part gets its share of them, and what
/// doesn't fit is counted.
std::vector<std::string> frame_lines(const WatchFrame& frame, std::size_t rows);

}  // namespace lefting::supervisor

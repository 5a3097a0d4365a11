#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lefting::supervisor {

/// "0 B", "1.2 GiB"
std::string human_size(std::uint64_t bytes);
/// "2 s", "3 min 5 s", "4 h 10 min", "2 d 3 h"
std::string human_duration(std::uint64_t ms);
/// "2026-01-31 23:59:59" in local time
std::string human_time(std::int64_t ns_since_epoch);
/// printable(), fast where there is nothing to be changed, as in nearly all paths.
void append_printable(std::string& to, std::string_view text);
/// `text` behind as many spaces as make it `width` long. Only for ASCII, where fmt takes longer.
void append_right(std::string& to, std::string_view text, std::size_t width);
/// "[#####-----]  52 %"
std::string progress_bar(std::uint64_t done, std::uint64_t all, std::size_t width);
/// "1 peer", "2 peers"
std::string counted(std::uint64_t count, const char* thing);

}  // namespace lefting::supervisor

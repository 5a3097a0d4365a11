#pragma once

#include <cstddef>
#include <string_view>

namespace lefting::state {

/// The most that an error's text may have in the segment, in bytes.
inline constexpr std::size_t kReasonBytes = 200;

/// The begin of `text`, at most `most` bytes, with no UTF-8 character cut in two.
constexpr std::string_view cut_text(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end > 0 ? end : most);
}

}  // namespace lefting::state

#pragma once

#include <optional>
#include <string_view>
#include <system_error>

namespace lefting::wire {

/// The error codes of a reply. Source: docs/PROTOCOL.md, "Requests and replies".
enum class Code {
  bad_frame = 1,
  too_large,
  bad_request,
  unknown_operation,
  bad_path,
  not_found,
  changed,
  out_of_range,
  busy,
  not_trusted,
  internal,
};

const std::error_category& code_category();
inline std::error_code make_error_code(Code code) {
  return {static_cast<int>(code), code_category()};
}
std::string_view to_text(Code code);  ///< "bad_frame"
std::optional<Code> parse_code(std::string_view text);

}  // namespace lefting::wire

template <>
struct std::is_error_code_enum<lefting::wire::Code> : std::true_type {};

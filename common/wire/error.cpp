#include "common/wire/error.h"

#include <array>
#include <string>

namespace lefting::wire {

namespace {

struct CodeText {
  Code code;
  std::string_view text;
  std::string_view meaning;
};

constexpr std::array<CodeText, 11> kCodes{{
    {Code::bad_frame, "bad_frame", "the frame is broken"},
    {Code::too_large, "too_large", "it is over a limit of the protocol"},
    {Code::bad_request, "bad_request", "a needed field is missing or wrong"},
    {Code::unknown_operation, "unknown_operation", "there is no such operation"},
    {Code::bad_path, "bad_path", "the path breaks the rules or leads out of the share"},
    {Code::not_found, "not_found", "there is no such file"},
    {Code::changed, "changed", "the file is no longer what was asked for"},
    {Code::out_of_range, "out_of_range", "the offset is beyond the file's end"},
    {Code::busy, "busy", "the peer has too much to do just now"},
    {Code::not_trusted, "not_trusted", "the device is not in the peer list"},
    {Code::internal, "internal", "something failed at the peer; its log has the cause"},
}};

const CodeText* find_code(Code code) {
  for (const CodeText& known : kCodes) {
    if (known.code == code) return &known;
  }
  return nullptr;
}

class CodeCategory : public std::error_category {
 public:
  const char* name() const noexcept override { return "lefting.wire"; }
  std::string message(int code) const override {
    const CodeText* known = find_code(static_cast<Code>(code));
    if (known == nullptr) return "unknown";
    return std::string{known->text} + ", " + std::string{known->meaning};
  }
};

}  // namespace

const std::error_category& code_category() {
  static const CodeCategory category;
  return category;
}

std::string_view to_text(Code code) {
  const CodeText* known = find_code(code);
  return known == nullptr ? to_text(Code::internal) : known->text;
}

std::optional<Code> parse_code(std::string_view text) {
  for (const CodeText& known : kCodes) {
    if (known.text == text) return known.code;
  }
  return std::nullopt;
}

}  // namespace lefting::wire

#include "common/base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace lefting {

namespace {

/// A category whose message is the text itself: for causes that no code describes.
class PlainCategory : public std::error_category {
 public:
  const char* name() const noexcept override { return "lefting"; }
  std::string message(int) const override { return "failed"; }
};

}  // namespace

std::string Error::text() const {
  std::string out = operation;
  if (!subject.empty()) out += " \"" + subject + "\"";
  if (code.category().name() != std::string_view{"lefting"}) out += ": " + code.message();
  if (!advice.empty()) out += "; " + advice;
  return out;
}

Error os_error(int errno_value, std::string operation, std::string subject, std::string advice) {
  return {std::error_code{errno_value, std::generic_category()}, std::move(operation),
          std::move(subject), std::move(advice)};
}

bool may_pass(const Error& error) {
  if (error.code.category() != std::generic_category()) return false;
  switch (error.code.value()) {
    case EAGAIN:
    case EDQUOT:
    case EINTR:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
      return true;
    default:
      return false;
  }
}

Error plain_error(std::string operation, std::string message, std::string advice) {
  static const PlainCategory category;
  return {std::error_code{1, category},
          std::move(operation) + ": " + std::move(message),
          {},
          std::move(advice)};
}

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
  std::abort();
}

}  // namespace lefting

#pragma once

#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include "common/base/assert.h"

namespace lefting {

/// Why something was not done: the cause, what was tried, and on what.
struct Error {
  std::error_code code;
  std::string operation;  ///< "open", "news to peer", …
  std::string subject;    ///< the path, peer or key it was tried on; may be empty
  std::string advice;     ///< what to do about it; may be empty

  /// `open "a/b": Permission denied; ADVICE`
  std::string text() const;
};

/// The Error of a failed system call.
Error os_error(int errno_value, std::string operation, std::string subject = {},
               std::string advice = {});
/// True if the same may succeed later though nobody mends anything: there was no memory, descriptor
/// or space just then, or a disk stumbled.
bool may_pass(const Error& error);
/// An Error that no errno describes: `message` is the whole cause.
Error plain_error(std::string operation, std::string message, std::string advice = {});

/// A value, or why there is none. Our stand-in for C++23's std::expected.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_{std::in_place_index<0>, std::move(value)} {}
  Result(Error error) : state_{std::in_place_index<1>, std::move(error)} {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & {
    LEFTING_ASSERT(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    LEFTING_ASSERT(ok());
    return std::get<0>(state_);
  }
  /// Moves the value out.
  T take() {
    LEFTING_ASSERT(ok());
    return std::move(std::get<0>(state_));
  }
  const Error& error() const {
    LEFTING_ASSERT(!ok());
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

/// Done, or why not.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_{std::move(error)} {}
  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    LEFTING_ASSERT(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};
using Status = Result<void>;

}  // namespace lefting

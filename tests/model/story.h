#pragma once

#include <fmt/core.h>

#include <string>

#include "common/base/entry.h"

namespace lefting::model {

/// Path, content and version.
std::string word(const Entry& entry);
template <class Word>
std::string word(const Word& value) {
  return fmt::format("{}", value);
}

/// What happened in a schedule, a line each; kept only where it is asked for.
class Story {
 public:
  void keep() { kept_ = true; }
  const std::string& text() const { return text_; }

  template <class... Words>
  void tell(const Words&... words) {
    if (!kept_) return;
    ((text_ += word(words) + ' '), ...);
    text_ += '\n';
  }

 private:
  bool kept_ = false;
  std::string text_;
};

}  // namespace lefting::model

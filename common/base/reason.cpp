#include "common/base/reason.h"

namespace lefting {

const char* to_text(Cause cause) {
  switch (cause) {
    case Cause::none:
      return "none";
    case Cause::queued:
      return "queued";
    case Cause::active:
      return "active";
    case Cause::no_source:
      return "no_source";
    case Cause::no_space:
      return "no_space";
    case Cause::changing:
      return "changing";
    case Cause::in_the_way:
      return "in_the_way";
    case Cause::not_permitted:
      return "not_permitted";
    case Cause::refused_name:
      return "refused_name";
    case Cause::source_changed:
      return "source_changed";
    case Cause::source_busy:
      return "source_busy";
    case Cause::source_failed:
      return "source_failed";
    case Cause::wrong_content:
      return "wrong_content";
    case Cause::too_large:
      return "too_large";
    case Cause::failed:
      return "failed";
    case Cause::ignored:
      return "ignored";
    case Cause::held:
      return "held";
    case Cause::special:
      return "special";
    case Cause::left_over:
      return "left_over";
  }
  return "unknown";
}

Reason changed_here() {
  return {Cause::changing, "it was changed here; waiting for the scanner to record that"};
}

}  // namespace lefting

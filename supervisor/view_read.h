#pragma once

// For the .cpp files of the view.

#include "supervisor/view.h"

namespace lefting::supervisor {

template <class Read>
auto View::from_store(Read&& read) -> std::invoke_result_t<Read, store::Store&> {
  constexpr int kMostTries = 4;
  if (!store_) return {};
  for (int tries = 1;; ++tries) {
    try {
      const Session session{*this};
      auto out = read(*store_);
      if (!store_->is_outdated()) return out;
      if (tries == kMostTries) throw store::StoreError("the store changes all the time", false);
    } catch (const store::StoreError&) {
      if (tries == kMostTries || access_ == store::Access::write) throw;
    }
    store_->close();  // so that it is opened as it is then
  }
}

template <class Read>
auto View::from_segment(state::Guard& guard, Read&& read)
    -> std::optional<std::invoke_result_t<Read>> {
  if (!attached_) return std::nullopt;
  const Session session{*this};
  return reader_.read(guard, std::forward<Read>(read));
}

}  // namespace lefting::supervisor

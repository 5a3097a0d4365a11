#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/state/dictionary.h"

namespace lefting::state {

/// A store of records, by path.
using Records = std::map<std::string, Record, std::less<>>;

/// What a dictionary over `store` asks, which must outlive it.
inline Dictionary::Backing backing_of(const Records& store) {
  return {.load =
              [&store](std::size_t, const Dictionary::Emit& emit) {
                for (const auto& [path, record] : store) emit(record);
              },
          .find = [&store](std::string_view path) -> std::optional<Record> {
            const auto at = store.find(path);
            if (at == store.end()) return std::nullopt;
            return at->second;
          }};
}

}  // namespace lefting::state

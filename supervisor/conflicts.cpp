#include "supervisor/conflicts.h"

#include "common/sync/copy.h"

namespace lefting::supervisor {

void for_each_conflict(View& view, const std::function<void(const Conflict&)>& emit) {
  view.for_each_file([&](const Record& record) {
    if (record.entry.deleted) return;
    const auto says = sync::parse_conflict_path(record.entry.path);
    if (says) emit({record.entry, says->original, to_text(says->device)});
  });
}

}  // namespace lefting::supervisor

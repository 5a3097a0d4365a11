#include "supervisor/conflicts.h"

#include "common/share/path.h"
#include "common/sync/copy.h"

namespace lefting::supervisor {

void for_each_conflict(View& view, const std::function<void(const Conflict&)>& emit) {
  view.for_each_file([&](const Record& record) {
    if (record.entry.deleted) return;
    const auto [folder, name] = share::split_path(record.entry.path);
    const auto says = sync::parse_conflict_name(name);
    if (!says) return;
    emit({record.entry, share::join_path(folder, says->original), to_text(says->device)});
  });
}

}  // namespace lefting::supervisor

#include "downloader/losers.h"

#include <cerrno>
#include <vector>

#include "common/share/path.h"

namespace lefting::downloader {

Losers::Losers(Instance& instance, const share::Share& share)
    : instance_{instance}, share_{share} {}

Status Losers::keep(Job& job, const Record& loser, share::FileStat& stat) const {
  for (const bool distinct : {false, true}) {
    const std::string path = sync::conflict_path(loser.entry, distinct);
    const auto known = instance_.dictionary.find(path);
    sync::Copy copy = sync::plan_copy(loser.entry, path, known ? &*known : nullptr);
    if (copy.need == sync::CopyNeed::none) {
      const bool is_this = known && !known->entry.deleted && known->inode == stat.inode;
      if (is_this) job.kept = sync::Change{.record = *known, .base = known->sequence};
      return {};
    }
    if (copy.need == sync::CopyNeed::taken) continue;
    const auto linked = share::link_file(share_, loser.entry.path, stat, path);
    if (!linked && linked.error().code.value() != EEXIST) return linked.error();
    if (!linked) {
      const auto there = share_.stat(path);
      const bool before_a_death = there && there.value() && there.value()->inode == stat.inode;
      if (!before_a_death) continue;
    } else {
      stat = linked.value();
    }
    return record_copy(job, std::move(copy), stat);
  }
  return os_error(EEXIST, "keep a conflict copy of", loser.entry.path);
}

/// At once: who dies now, or finds another wish, need not remember it. The name is on disk before:
/// a recorded copy that is missing was removed on purpose.
Status Losers::record_copy(Job& job, sync::Copy copy, const share::FileStat& stat) const {
  if (auto synced = share::sync_folder(share_, share::split_path(copy.entry.path).folder);
      !synced) {
    return synced;
  }
  std::vector<sync::Change> changes(1);
  changes[0].record.entry = std::move(copy.entry);
  changes[0].record.ctime_ns = stat.ctime_ns;
  changes[0].record.inode = stat.inode;
  changes[0].base = copy.base;
  if (!instance_.index.commit(changes)[0]) return {};  // somebody else's by now
  // Before the scanner watched its folder, perhaps (Batch::look_at_unwatched).
  const auto there = share_.stat(changes[0].record.entry.path);
  if (there && !there.value()) instance_.ask_traversal();
  job.kept = std::move(changes[0]);
  job.kept->base = job.kept->record.sequence;
  return {};
}

void Losers::look_at_kept(Job& job) const {
  Record& kept = job.kept->record;
  const auto stat = share_.stat(kept.entry.path);
  const bool untouched = stat && stat.value() && stat.value()->inode == kept.inode &&
                         stat.value()->size == kept.entry.size &&
                         stat.value()->mtime_ns == kept.entry.mtime_ns;
  // By now it is the scanner's, or as it was recorded.
  if (!untouched || stat.value()->ctime_ns == kept.ctime_ns) return job.kept.reset();
  kept.ctime_ns = stat.value()->ctime_ns;
}

void Losers::find_kept(Job& job) const {
  if (job.kept || !job.record || job.record->entry.deleted || !job.record->entry.hash) return;
  for (const bool distinct : {false, true}) {
    const auto copy = instance_.dictionary.find(sync::conflict_path(job.record->entry, distinct));
    const bool is_it = copy && !copy->entry.deleted && copy->inode == job.record->inode;
    if (is_it) job.kept = sync::Change{.record = *copy, .base = copy->sequence};
  }
}

}  // namespace lefting::downloader

// How a scanner traverses the share, and by which rules.
#include <algorithm>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/share/cut.h"
#include "common/share/path.h"
#include "common/share/traverse.h"
#include "scanner/scanner.h"

namespace lefting::scanner {

namespace {

/// How often, in files, a traversal says that it lives.
constexpr std::uint64_t kFilesABeat = 64;
/// What inotify does not tell is found by a traversal after so long at the latest.
constexpr std::chrono::seconds kLongestUnwatched{60};
/// When to look again whether the share is back.
constexpr std::chrono::seconds kBadShare{10};

}  // namespace

void Scanner::traverse_all() {
  traverse_soon_ = false;
  next_traversal_ = deadline_in(period());
  const std::uint64_t asked = words_.wanted.load();
  if (!can_traverse()) {  // those who asked wait until it can
    next_traversal_ = deadline_in(kBadShare);
    return;
  }
  meet_new_rules();
  words_.begun.fetch_add(1);
  hear_verdict();
  brake_.clear();
  const std::uint64_t started = monotonic_ms();
  // Two instances of the scanner must not take each other's marks for their own.
  scan_ = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(words_.begun.load()));
  traverse("");
  examine_suspects();
  const bool is_awaited = asked > words_.answered.load() || examiner_.is_adopting();
  if (is_awaited || rules_are_new_) await_large_files();
  if (!context_.stopping() && recorder_.check_share()) {
    find_missing();
    if (!context_.stopping()) {
      ++whole_traversals_;
      record_deletions(true);
      forget_ignored();
      if (rules_are_new_) apply_new_rules();
      instance_.index.fade_tombstones();
      instance_.store.drop_contents(wall_ms() / 1000, instance_.settings.trash_days * 86'400);
      sketch_the_rest();
    }
  }
  instance_.dictionary.compact();
  words_.last_ms.store(monotonic_ms() - started);
  words_.watching.store(watcher_.complete() ? 1 : 0);
  words_.ended.fetch_add(1);
  words_.answered.store(asked);
  instance_.wakes.supervisor.signal();
  next_traversal_ = deadline_in(ignore_.settling() ? kSettle : period());
}

/// What was found by a Lefting that made no sketches, or whose downloader died before it made one.
void Scanner::sketch_the_rest() {
  std::deque<LargeFiles::Wish> wishes;
  for (std::string& path : instance_.store.unsketched(share::kWorthSketching)) {
    const auto stat = share_.stat(path);
    if (!stat || !stat.value()) continue;
    wishes.push_back(
        {.path = std::move(path), .stat = *stat.value(), .work = LargeFiles::Work::sketch});
  }
  examiner_.large_files().ask_later(std::move(wishes));
}

bool Scanner::can_traverse() {
  Status good = recorder_.check_share();
  if (good) good = ignore_.refresh();
  if (!good && !share_was_bad_) log_error("{}", good.error().text());
  share_was_bad_ = !good;
  return good.ok();
}

/// What was ignored and is not any more may be older than what the peers have.
void Scanner::meet_new_rules() {
  rules_are_new_ = ignore_.digest() != instance_.store.ignore_digest();
  const bool had_others = instance_.store.last_sequence() != 0;
  if (!rules_are_new_ || !had_others) return;
  {
    // Whoever is interrupted now begins again, whatever the rules are by then.
    store::Transaction transaction{instance_.store};
    transaction.set_ignore_digest("changing");
    transaction.commit();
  }
  examiner_.begin_adoption();
  whole_traversals_ = 0;
}

/// Of what was ignored nobody knows here what the peers have.
void Scanner::apply_new_rules() {
  {
    store::Transaction transaction{instance_.store};
    transaction.forget_seen();
    transaction.set_ignore_digest(ignore_.digest());
    transaction.commit();
  }
  instance_.peers.ask_anew();
  rules_are_new_ = false;
  instance_.wakes.supervisor.signal();
  log_info("new rules of what is ignored: {} files and folders are", ignored_);
}

void Scanner::forget_ignored() {
  if (to_forget_.empty()) return;
  instance_.index.forget(to_forget_, sync::Index::Peers::stay);
  log_info("{} files are ignored from now on: they stay here, and whoever has them keeps them",
           to_forget_.size());
  to_forget_.clear();
}

std::chrono::seconds Scanner::period() const {
  const std::chrono::seconds chosen{instance_.settings.rescan_seconds};
  return watcher_.complete() ? chosen : std::min(chosen, kLongestUnwatched);
}

void Scanner::traverse(const std::string& folder) {
  const Deadline begun = std::chrono::steady_clock::now();
  if (!folder.empty() && ignore_.rules().covers(folder, true)) return forget_unread(folder, begun);
  share::Visitor visitor;
  visitor.enters = [this](const std::string& path) {
    const bool ignored = ignore_.rules().match(path, true);
    ignored_ += ignored;
    return !ignored;
  };
  visitor.file = [this](const std::string& path, const share::FileStat& stat) {
    return meet(path, stat);
  };
  visitor.folder = [this](const std::string& path, int fd) {
    context_.beat();
    watcher_.add(path, fd);
    // Where a file was recorded its end is told before what is in the folder now.
    const auto stamp = instance_.dictionary.mark(path, scan_);
    if (stamp && !stamp->deleted) suspect(path);
  };
  visitor.trouble = [this](const Error& error, const std::string& unread) {
    note_unread(unread, error);
  };
  ignored_ = 0;
  std::uint64_t left_over = 0;
  visitor.partial = [this, &left_over](const std::string& path) {
    left_over += is_left_over(path);
  };
  const share::TraversalCounts counts = share::traverse(share_, folder, visitor);
  words_.watch_rounds.fetch_add(1);
  if (!context_.stopping()) forget_unread(folder, begun);
  if (folder.empty()) {
    words_.skipped.store(counts.skipped);
    words_.unreadable.store(counts.unreadable);
    words_.left_over.store(left_over);
    words_.ignored.store(ignored_);
  }
}

void Scanner::traverse_below(const std::string& folder) {
  traverse(folder);
  suspect_missing(instance_.store.files_below(folder));
}

void Scanner::note_unread(const std::string& folder, const Error& error) {
  if (unread_.put_off(folder, std::chrono::steady_clock::now(), kLongestUnread)) {
    log_warning("{}; skipped until it can be read", error.text());
  }
}

/// Those below `folder` with which there was no trouble since.
void Scanner::forget_unread(const std::string& folder, Deadline since) {
  unread_.erase_quiet(since, [&](const std::string& path) {
    return folder.empty() || path == folder || path.starts_with(folder + "/");
  });
}

/// A partial file whose folder was moved, for example: nobody takes it up again. It may be the
/// user's own, though its name is reserved, so it stays.
bool Scanner::is_left_over(const std::string& partial_path) const {
  const auto [folder, partial] = share::split_path(partial_path);
  const auto name = share::whole_name(partial);
  if (!name || instance_.tickets.find(share::join_path(folder, std::string{*name}))) return false;
  log_info("\"{}\" belongs to no transfer; it may be removed", printable(partial_path));
  return true;
}

bool Scanner::meet(const std::string& path, const share::FileStat& stat) {
  if (++met_ % kFilesABeat == 0) {
    context_.beat();
    if (context_.stopping()) return false;
  }
  const auto stamp = instance_.dictionary.mark(path, scan_);
  const bool is_known = stamp && !stamp->deleted;
  if ((!is_known || rules_are_new_) && ignore_.rules().match(path, false)) {
    ++ignored_;
    if (rules_are_new_) suspect(path);  // it may be recorded
    return true;
  }
  const bool same = is_known && stamp->size == stat.size && stamp->mtime_ns == stat.mtime_ns &&
                    stamp->ctime_ns == stat.ctime_ns && stamp->inode == stat.inode &&
                    stamp->mode == stat.mode;
  if (!same) {
    suspect(path);
  } else if (!brake_.is_empty()) {
    brake_.remove(path);  // it is back, in a folder that was moved away and back
  }
  return true;
}

void Scanner::find_missing() {
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    context_.beat();
    for (std::string& path : instance_.dictionary.unmarked(shard, scan_)) {
      suspect(std::move(path));
    }
    if (instance_.dictionary.complete(shard)) continue;
    // Where the segment is full it doesn't know all that may be missing.
    std::vector<std::string> paths;
    instance_.store.for_each_in_shard(shard, [&](const Record& record) {
      if (!record.entry.deleted) paths.push_back(record.entry.path);
    });
    suspect_missing(std::move(paths));
  }
  examine_suspects();
}

void Scanner::suspect_missing(std::vector<std::string> recorded) {
  for (std::string& path : recorded) {
    const auto stat = share_.stat(path);
    const bool is_ignored = rules_are_new_ && ignore_.rules().covers(path);
    if (is_ignored || (stat && !stat.value())) suspect(std::move(path));
  }
}

/// Once the share has been seen whole, what is not recorded is new. What was restless then, perhaps
/// because a peer's version of it was on its way, still counts as found; but not for ever.
void Scanner::end_adoption_if_due() {
  if (!examiner_.is_adopting() || whole_traversals_ == 0) return;
  const bool is_seen_whole = restless_.empty() && unread_.empty();
  if (!is_seen_whole && whole_traversals_ == 1) return;
  examiner_.end_adoption();
  log_info("the share has been seen whole: what was found in it is adopted");
}

}  // namespace lefting::scanner

#include "scanner/scanner.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/log.h"
#include "common/share/path.h"
#include "common/share/traverse.h"

namespace lefting::scanner {

namespace {

/// So many changed files share one transaction and one round of hashing.
constexpr std::size_t kSuspects = 512;
/// How often, in files, a traversal says that it lives.
constexpr std::uint64_t kFilesABeat = 64;
constexpr milliseconds kSettle{1000};
/// What inotify does not tell is found by a traversal after so long at the latest.
constexpr std::chrono::seconds kLongestUnwatched{60};
constexpr milliseconds kLongestSettle{30000};
constexpr milliseconds kLongestUnread{300'000};
/// When to look again whether the share is back.
constexpr std::chrono::seconds kBadShare{10};
/// The heartbeat must come every 10 s.
constexpr milliseconds kLongestWait{8000};

/// At first after kSettle, and each time after twice as long, up to this. Nothing: not by time.
std::optional<milliseconds> look_again_within(Outcome outcome) {
  switch (outcome) {
    case Outcome::restless:
      return kLongestSettle;
    case Outcome::claimed:
      return kSettle;
    case Outcome::unreadable:
      return kLongestUnread;
    default:
      return std::nullopt;
  }
}

}  // namespace

Scanner::Scanner(RoleContext& context, share::Share share)
    : context_{context},
      instance_{context.instance()},
      share_{std::move(share)},
      ignore_{share_},
      words_{state::scan_words(instance_.segment)},
      examiner_{context, share_, ignore_.rules(),
                [this](const Entry& entry) { news_.announce(entry); }},
      watcher_{share_},
      news_{context},
      brake_{instance_.settings.brake} {}

void Scanner::run() {
  context_.ready();
  while (!context_.stopping()) {
    context_.beat();
    news_.look_at_peers();
    const bool asked = words_.wanted.load() > words_.answered.load();
    if (traverse_soon_ || asked || std::chrono::steady_clock::now() >= next_traversal_) {
      traverse_all();
    }
    look_again_at_the_restless();
    examine_suspects();
    record_deletions(false);
    forget_ignored();
    end_adoption_if_due();
    wait();
  }
}

void Scanner::wait() {
  Deadline until = std::min(next_traversal_, deadline_in(kLongestWait));
  until = std::min({until, restless_.due(), unread_.due(), brake_.due()});
  std::array<pollfd, 4> fds = {
      pollfd{.fd = context_.stop_fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = instance_.wakes.scanner.fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = watcher_.fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = examiner_.large_files().fd(), .events = POLLIN, .revents = 0}};
  poll_fds(fds, poll_timeout(until));
  if (fds[1].revents != 0) {
    instance_.wakes.scanner.drain();
    news_.tell();
  }
  if (fds[2].revents != 0) take_events();
  if (fds[3].revents != 0) take_hashed();
}

void Scanner::take_hashed() {
  const std::vector<std::string> paths = examiner_.large_files().done();
  for (const std::string& path : paths) suspect(path);
  examine_suspects();
  // What is gone by now, or the downloader's, has no use for its hash.
  for (const std::string& path : paths) static_cast<void>(examiner_.large_files().take(path));
}

/// Who has asked for a traversal wants to see what it found.
void Scanner::await_large_files() {
  std::array<pollfd, 2> fds = {
      pollfd{.fd = context_.stop_fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = examiner_.large_files().fd(), .events = POLLIN, .revents = 0}};
  while (!examiner_.large_files().is_idle() && !context_.stopping()) {
    context_.beat();
    poll_fds(fds, static_cast<int>(kLongestWait.count()));
    take_hashed();
  }
}

void Scanner::take_events() {
  for (const Event& event : watcher_.read()) take_event(event);
  examine_suspects();
  moves_.clear();
}

void Scanner::take_event(const Event& event) {
  if (event.path == share::kIgnoreName) {
    next_traversal_ = std::min(next_traversal_, deadline_in(kSettle));
  }
  if (!event.moved_from.empty()) moves_.add(event.moved_from, event.path);
  switch (event.kind) {
    case Event::Kind::file:
      restless_.erase(event.path);
      return suspect(event.path);
    case Event::Kind::new_file:
      return restless_.add(event.path, std::chrono::steady_clock::now());
    case Event::Kind::folder:
      return traverse(event.path);
    case Event::Kind::folder_changed:
      if (unread_.contains(event.path)) traverse(event.path);
      return;
    case Event::Kind::folder_gone:
      examine_suspects();
      for (std::string& path : instance_.store.paths_below(event.path)) suspect(std::move(path));
      return;
    case Event::Kind::overflow:
      traverse_soon_ = true;
      return;
  }
}

void Scanner::look_again_at_the_restless() {
  const Deadline now = std::chrono::steady_clock::now();
  for (std::string& path : restless_.ripe(now)) suspect(std::move(path));
  examine_suspects();
  for (const std::string& folder : unread_.ripe(now)) traverse(folder);
  examine_suspects();
}

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
  if (!context_.stopping() && examiner_.check_share()) {
    find_missing();
    if (!context_.stopping()) {
      ++whole_traversals_;
      record_deletions(true);
      forget_ignored();
      if (rules_are_new_) apply_new_rules();
      instance_.index.fade_tombstones();
      instance_.store.drop_manifests();
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

bool Scanner::can_traverse() {
  Status good = examiner_.check_share();
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
  visitor.folder = [this](const std::string& path) {
    context_.beat();
    watcher_.add(path);
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
  if (!context_.stopping()) forget_unread(folder, begun);
  if (folder.empty()) {
    words_.skipped.store(counts.skipped);
    words_.unreadable.store(counts.unreadable);
    words_.left_over.store(left_over);
    words_.ignored.store(ignored_);
  }
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
    if (!instance_.dictionary.complete(shard)) find_missing_in_store(shard);
  }
  examine_suspects();
}

/// Where the segment is full it doesn't know all that may be missing.
void Scanner::find_missing_in_store(std::size_t shard) {
  std::vector<std::string> paths;
  instance_.store.for_each_in_shard(shard, [&](const Record& record) {
    if (!record.entry.deleted) paths.push_back(record.entry.path);
  });
  for (std::string& path : paths) {
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

void Scanner::suspect(std::string path) {
  suspects_.push_back(std::move(path));
  if (suspects_.size() >= kSuspects) examine_suspects();
}

void Scanner::examine_suspects() {
  if (suspects_.empty()) return;
  examine(std::exchange(suspects_, {}), Examiner::Deletions::report);
}

void Scanner::examine(std::vector<std::string> paths, Examiner::Deletions deletions) {
  if (share_was_bad_) return restless_.clear();  // the next traversal looks at everything
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  context_.beat();
  auto findings = examiner_.look(paths, moves_);
  add_origins(paths, findings);
  const bool announced = std::ranges::any_of(findings, &Examiner::Finding::announced);
  const std::vector<Outcome> outcomes = examiner_.record(std::move(findings), deletions);
  const Deadline now = std::chrono::steady_clock::now();
  bool news = false;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (outcomes[i] == Outcome::gone) {
      restless_.erase(paths[i]);
      brake_.add(paths[i], now);
      continue;
    }
    brake_.remove(paths[i]);
    news |= outcomes[i] == Outcome::written;
    if (outcomes[i] == Outcome::ignored) to_forget_.push_back(paths[i]);
    if (const auto longest = look_again_within(outcomes[i])) {
      restless_.put_off(paths[i], now, *longest);
    } else {
      restless_.erase(paths[i]);
    }
  }
  if (announced || news) instance_.wakes.listener.signal();  // peers may wait for a hash
  if (news) news_.tell();
}

/// A rename is recorded as one: what is told together is a rename for the peers too.
void Scanner::add_origins(std::vector<std::string>& paths,
                          std::vector<Examiner::Finding>& findings) {
  std::vector<std::string> origins;
  for (const Examiner::Finding& finding : findings) {
    if (finding.moved_from.empty()) continue;
    if (!std::ranges::binary_search(paths, finding.moved_from)) {
      origins.push_back(finding.moved_from);
    }
  }
  if (origins.empty()) return;
  std::ranges::move(examiner_.look(origins, moves_), std::back_inserter(findings));
  std::ranges::move(origins, std::back_inserter(paths));
}

void Scanner::record_deletions(bool whole) {
  const std::uint64_t held = words_.held.load();
  if (brake_.is_empty() && held == 0) return;
  // Where the segment is full only the store has them all.
  const bool all_here = instance_.dictionary.holds_all();
  const std::uint64_t files =
      all_here ? instance_.dictionary.totals().files : instance_.store.count().files;
  const auto gone = brake_.take(files, whole, std::chrono::steady_clock::now());
  for (auto at = gone.begin(); at != gone.end() && !context_.stopping();) {
    const auto end = at + std::min<std::ptrdiff_t>(kSuspects, gone.end() - at);
    examine({at, end}, Examiner::Deletions::record);
    at = end;
  }
  words_.held.store(brake_.held());
  if (brake_.held() == 0 || held != 0) return;
  log_error(
      "{} files are gone at once, more than a quarter of the share. That is told to nobody until "
      "it is approved: `supervisor deletes approve` if it was meant so, `supervisor deletes "
      "restore` to fetch them from the peers again",
      brake_.held());
}

void Scanner::hear_verdict() {
  switch (words_.verdict.exchange(state::Verdict::none)) {
    case state::Verdict::none:
      return;
    case state::Verdict::approve:
      return brake_.approve();
    case state::Verdict::restore:
      return forget_deletions();
  }
}

/// What isn't known isn't missing; and all peers are asked what they have.
void Scanner::forget_deletions() {
  const auto gone = brake_.give_up();
  if (gone.empty()) return;
  instance_.index.forget(gone, sync::Index::Peers::show_anew);
  instance_.peers.ask_anew();
  instance_.wakes.supervisor.signal();
  log_info("{} files that are gone here are fetched from the peers again", gone.size());
}

}  // namespace lefting::scanner

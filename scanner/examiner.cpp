#include "scanner/examiner.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/share/cut.h"
#include "common/share/marker.h"
#include "common/share/partial.h"
#include "common/sync/announcement.h"
#include "common/sync/copy.h"
#include "common/sync/version.h"
#include "common/sync/writer.h"

namespace lefting::scanner {

namespace {

/// Below this many paths a thread costs more than it helps.
constexpr std::size_t kPathsAThread = 8;
/// What takes some 10 ms to hash holds up nothing else, and is on its way to the peers meanwhile.
constexpr std::uint64_t kLargeBytes = 16u << 20;
/// What is at most one in so many parts of the memory is still in the page cache, most likely.
constexpr std::uint64_t kCachedShare = 8;

std::uint64_t memory_bytes() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

Examiner::Examiner(RoleContext& context, const share::Share& share, const share::IgnoreRules& rules,
                   Announce announce)
    : context_{context},
      instance_{context.instance()},
      share_{share},
      rules_{rules},
      announce_{std::move(announce)},
      index_{index_text(instance_.store.index_id())},
      adopter_{instance_.store.adopter()},
      large_files_{share_, instance_.settings.hash_threads,
                   [this] { return context_.stopping(); }} {}

void Examiner::begin_adoption() {
  const std::string occasion = fmt::format("{} {}", instance_.store.last_sequence(), wall_ms());
  adopter_ = sync::successor_writer(instance_.device(), instance_.store.index_id(), occasion);
  instance_.store.begin_adoption(*adopter_);
}

/// While a ticket is queued or worked on the downloader looks first: what stands at its path, or
/// beside it as a copy of its loser, may be what it has just put there and not recorded yet. If it
/// is not, it lets the ticket wait.
bool Examiner::is_the_downloaders(const std::string& path) const {
  const auto is_at_work = [this](const std::string& at) {
    const auto ticket = instance_.tickets.find(at);
    return ticket && ticket->state != state::TicketState::waiting;
  };
  if (is_at_work(path)) return true;
  const auto copy = sync::parse_conflict_path(path);
  return copy && is_at_work(copy->original);
}

void Examiner::end_adoption() {
  instance_.store.end_adoption();
  adopter_.reset();
}

bool Examiner::is_deletion(const Finding& finding) {
  return finding.change && finding.change->record.entry.deleted;
}

Status Examiner::check_share() const {
  if (auto good = share_.check(); !good) return good;
  return share::check_marker(share_, index_);
}

std::vector<std::size_t> Examiner::choose(std::vector<Finding>& findings,
                                          Deletions deletions) const {
  std::map<std::string, std::size_t> gone;
  for (std::size_t i = 0; i < findings.size(); ++i) {
    if (is_deletion(findings[i])) gone[findings[i].change->record.entry.path] = i;
  }
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < findings.size(); ++i) {
    if (!findings[i].change || is_deletion(findings[i])) continue;
    if (const auto other = look_once_more(findings[i])) {
      findings[i] = {*other, {}, {}};
      continue;
    }
    chosen.push_back(i);
    const auto origin = gone.find(findings[i].moved_from);
    if (origin == gone.end()) continue;
    chosen.push_back(origin->second);
    gone.erase(origin);
  }
  for (const auto& [path, i] : gone) {
    if (deletions == Deletions::report) {
      findings[i] = {Outcome::gone, {}, {}};
    } else {
      chosen.push_back(i);
    }
  }
  const auto deletes = [&](std::size_t i) { return is_deletion(findings[i]); };
  const Status good = std::ranges::any_of(chosen, deletes) ? check_share() : Status{};
  if (!good) log_error("{}", good.error().text());
  std::erase_if(chosen, [&](std::size_t i) {
    if (!deletes(i)) return false;
    const auto other = good ? look_once_more(findings[i]) : std::optional{Outcome::restless};
    if (other) findings[i] = {*other, {}, {}};
    return other.has_value();
  });
  return chosen;
}

std::vector<Outcome> Examiner::record(std::vector<Finding> findings, Deletions deletions) {
  const std::vector<std::size_t> chosen = choose(findings, deletions);
  std::vector<sync::Change> changes;
  for (const std::size_t i : chosen) {
    Finding& finding = findings[i];
    // Before it is told, so that who asks finds it.
    if (!finding.blocks.empty()) {
      instance_.store.put_manifest(*finding.change->record.entry.hash, share::kCutRule,
                                   finding.blocks);
    }
    changes.push_back(std::move(*finding.change));
  }
  if (!changes.empty()) {
    const std::vector<bool> written = instance_.index.commit(changes);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      if (!written[i]) findings[chosen[i]].outcome = Outcome::restless;
    }
  }
  std::vector<Outcome> outcomes;
  outcomes.reserve(findings.size());
  for (const Finding& finding : findings) outcomes.push_back(finding.outcome);
  return outcomes;
}

std::optional<Outcome> Examiner::look_once_more(const Finding& finding) const {
  const std::string& path = finding.change->record.entry.path;
  if (is_the_downloaders(path)) return Outcome::claimed;
  const auto now = share_.stat(path);
  if (!now) return Outcome::restless;
  const bool is_file = now.value() && now.value()->type == share::FileType::file;
  const bool is_same = finding.seen ? is_file && *now.value() == *finding.seen : !is_file;
  return is_same ? std::nullopt : std::optional{Outcome::restless};
}

std::vector<Examiner::Finding> Examiner::look(const std::vector<std::string>& paths,
                                              const Moves& moves) {
  forgotten_ = instance_.store.forgotten();
  std::vector<Finding> findings(paths.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < paths.size(); i = next++)
      findings[i] = look_at(paths[i], moves);
  };
  const std::size_t most =
      std::min<std::size_t>(instance_.settings.hash_threads, 1 + paths.size() / kPathsAThread);
  std::vector<std::jthread> helpers;
  for (std::size_t i = 1; i < most; ++i) helpers.emplace_back(work);
  work();
  return findings;
}

Examiner::Finding Examiner::look_at(const std::string& path, const Moves& moves) {
  context_.beat();
  // First, since it costs less than all else, and most of what the downloader does comes here.
  if (is_the_downloaders(path)) return {Outcome::claimed, {}, {}};
  if (rules_.covers(path)) return look_at_ignored(path);
  auto stat = share_.stat(path);
  if (!stat) return unreadable(path, stat.error());
  // A folder or a symlink in a file's place is the file's end.
  if (!stat.value() || stat.value()->type != share::FileType::file) {
    note_settled(path);
    return look_at_missing(path);
  }
  if (auto good = share::check_ignore_file(path, stat.value()->size); !good) {
    return unreadable(path, good.error());
  }
  return look_at_file(path, *stat.value(), moves);
}

Examiner::Finding Examiner::look_at_ignored(const std::string& path) const {
  const auto record = instance_.dictionary.find(path);
  const bool is_known = record && !record->entry.deleted;
  return {is_known ? Outcome::ignored : Outcome::unchanged, {}, {}};
}

Examiner::Finding Examiner::look_at_missing(const std::string& path) const {
  // The ticket first: when it is gone, what it brought is in the dictionary. Also where nothing is
  // recorded yet: what was put in place and moved away at once will be.
  if (is_the_downloaders(path)) return {Outcome::claimed, {}, {}};
  const auto record = instance_.dictionary.find(path);
  auto gone = sync::found_missing(record ? &*record : nullptr, finder(wall_ms()));
  if (!gone) return {};
  return {Outcome::written, sync::Change{std::move(*gone), record->sequence}, {}};
}

sync::Finder Examiner::finder(std::uint64_t now_ms) const {
  return {
      .writer = instance_.writer, .adopter = adopter_, .now_ms = now_ms, .forgotten = forgotten_};
}

/// True where the file is what its ticket brought, or would bring: the downloader, which may wait
/// for something else, is told to look.
bool Examiner::leave_placed(const std::string& path, const sync::Here& here) const {
  if (!instance_.tickets.find(path)) return false;
  const auto ticket = instance_.store.find_ticket(path);
  if (!ticket || !sync::is_placed(*ticket, here, instance_.writer, wall_ms())) return false;
  instance_.tickets.give_back(path, ticket->id);
  instance_.wakes.downloader.signal();
  return true;
}

/// Said once, until it could be read again.
Examiner::Finding Examiner::unreadable(const std::string& path, const Error& error) {
  const std::lock_guard lock{mutex_};
  if (unreadable_.insert(path).second) {
    log_warning("{}; skipped until it can be read", error.text());
  }
  return {Outcome::unreadable, {}, {}};
}

void Examiner::note_settled(const std::string& path) {
  const std::lock_guard lock{mutex_};
  unreadable_.erase(path);
  unsettled_.erase(path);
}

void Examiner::note_unsettled(const std::string& path) {
  const std::lock_guard lock{mutex_};
  unsettled_.insert(path);
}

bool Examiner::is_unsettled(const std::string& path) {
  const std::lock_guard lock{mutex_};
  return unsettled_.contains(path);
}

std::optional<Record> Examiner::origin_of(const std::string& path, const share::FileStat& stat,
                                          const Moves& moves) const {
  constexpr int kMostRenames = 8;
  auto from = moves.origin(path);
  for (int i = 0; from && i < kMostRenames; from = moves.origin(*from), ++i) {
    auto record = instance_.dictionary.find(*from);
    if (!record || record->entry.deleted) continue;
    // A rename changes ctime.
    const bool is_same = record->inode == stat.inode && record->entry.size == stat.size &&
                         record->entry.mtime_ns == stat.mtime_ns && record->entry.hash;
    const auto left = share_.stat(*from);
    if (is_same && left && !left.value()) return record;
    return std::nullopt;
  }
  return std::nullopt;
}

/// Not where the peers may need less: they have a file, perhaps, that this is a copy of. Nor while
/// the hash may say that it is nobody's change, nor what changes all the time. Of a new version
/// they need its blocks, which are known before the hash only if it is read twice.
bool Examiner::is_worth_announcing(const std::string& path, const Record* known,
                                   const share::FileStat& stat) {
  const bool is_new = known == nullptr || known->entry.deleted;
  if (!is_new && stat.size > memory_bytes() / kCachedShare) return false;
  return !adopter_ && instance_.peers.online_mask() != 0 && !is_unsettled(path) &&
         !instance_.tickets.find(path) && !instance_.store.has_size_besides(path, stat.size);
}

/// `cut`: what an earlier call has asked for.
Examiner::Finding Examiner::have_hashed(const std::string& path, const share::FileStat& stat,
                                        const Record* known, bool cuts,
                                        std::optional<LargeFiles::Done> cut) {
  using Work = LargeFiles::Work;
  if (large_files_.is_asked(path)) return {Outcome::hashing, {}, {}};
  LargeFiles::Wish wish{.path = path, .stat = stat, .now_ms = wall_ms()};
  if (cut) wish.blocks = std::move(cut->wish.blocks);
  const bool is_cut = !cuts || !wish.blocks.empty();
  const bool is_worth = is_worth_announcing(path, known, stat);
  if (is_worth && cuts && !cut) {
    wish.work = Work::cut;
  } else {
    wish.work = is_cut ? Work::hash : Work::hash_and_cut;
    wish.announced = is_worth && is_cut;
  }
  if (wish.announced) {
    announce(sync::found_file(known, path, stat, std::nullopt, finder(wish.now_ms)).entry,
             wish.blocks);
  }
  large_files_.ask(std::move(wish));
  return {Outcome::hashing, {}, {}};
}

void Examiner::announce(const Entry& entry, const std::string& blocks) {
  if (!blocks.empty()) {
    const Sha256 content = sync::announced_content(entry.path, sync::stamp_counter(entry.version));
    instance_.store.put_manifest(content, share::kCutRule, blocks);
  }
  announce_(entry);
}

Examiner::Finding Examiner::look_at_file(const std::string& path, const share::FileStat& stat,
                                         const Moves& moves) {
  const bool is_large = stat.size >= kLargeBytes;
  auto done = is_large ? large_files_.take(path) : std::nullopt;
  const bool downloaders = is_the_downloaders(path);  // asked before the record, as above
  const auto record = instance_.dictionary.find(path);
  if (record && share::is_unchanged(stat, *record) && stat.mode == record->entry.mode) return {};
  if (downloaders) return {Outcome::claimed, {}, {}};

  const Record* known = record ? &*record : nullptr;
  const auto origin = origin_of(path, stat, moves);
  // Of a new version the peers have the old one, and fetch only the blocks that it has not.
  const bool cuts = record && !record->entry.deleted && stat.size > share::kWorthCutting;
  if (done && !(done->wish.stat == stat)) {
    note_unsettled(path);
    done.reset();
  }
  const bool is_hashed = done && done->wish.work != LargeFiles::Work::cut;
  if (is_large && !origin && !is_hashed) {
    return have_hashed(path, stat, known, cuts, std::move(done));
  }

  std::string blocks;
  Result<Sha256> found{Sha256{}};
  if (origin) {
    found = *origin->entry.hash;
  } else if (is_hashed) {
    found = std::move(done->hash);
    blocks = std::move(done->wish.blocks);
  } else {
    found = hash_as_it_is(share_, path, stat, cuts ? &blocks : nullptr, [this] {
      context_.beat();
      return !context_.stopping();
    });
  }
  const bool announced = is_hashed && done->wish.announced;
  if (!found) {
    const int code = found.error().code.value();
    if (is_large && code == share::kChangedMeanwhile) note_unsettled(path);
    const bool passes = code == ENOENT || code == ECANCELED || code == share::kChangedMeanwhile;
    Finding failed = passes ? Finding{Outcome::restless, {}, {}} : unreadable(path, found.error());
    failed.announced = announced;
    return failed;
  }
  note_settled(path);
  // What was announced is what is recorded.
  const std::uint64_t now_ms = is_hashed ? done->wish.now_ms : wall_ms();
  sync::Change change{sync::found_file(known, path, stat, found.value(), finder(now_ms)),
                      known != nullptr ? known->sequence : 0};
  sync::Here here{.record = known, .standing = sync::Standing::other, .hash = found.value()};
  here.set_file(stat);
  if (leave_placed(path, here)) return {Outcome::claimed, {}, {}};
  return {.outcome = Outcome::written,
          .change = std::move(change),
          .seen = stat,
          .moved_from = origin ? origin->entry.path : std::string{},
          .blocks = std::move(blocks),
          .announced = announced};
}

}  // namespace lefting::scanner

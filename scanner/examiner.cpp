#include "scanner/examiner.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/share/cut.h"
#include "common/share/partial.h"
#include "common/sync/version.h"
#include "common/sync/writer.h"

namespace lefting::scanner {

namespace {

/// Below this many paths a thread costs more than it helps.
constexpr std::size_t kPathsAThread = 8;
/// What takes some 10 ms to hash holds up nothing else, and is on its way to the peers meanwhile.
constexpr std::uint64_t kLargeBytes = 16u << 20;
static_assert(kLargeBytes == share::kWorthSketching);

}  // namespace

Examiner::Examiner(RoleContext& context, const share::Share& share, const share::IgnoreRules& rules,
                   Announcer::Tell tell)
    : context_{context},
      instance_{context.instance()},
      share_{share},
      rules_{rules},
      announcer_{instance_, std::move(tell)},
      adopter_{instance_.store.adopter()},
      large_files_{
          share_, instance_.settings.hash_threads,
          [this](const share::Sketch& sketch) { return instance_.store.find_bases(sketch); },
          [this] { return context_.stopping(); }} {}

void Examiner::begin_adoption() {
  const std::string occasion = fmt::format("{} {}", instance_.store.last_sequence(), wall_ms());
  adopter_ = sync::successor_writer(instance_.device(), instance_.store.index_id(), occasion);
  instance_.store.begin_adoption(*adopter_);
}

void Examiner::end_adoption() {
  instance_.store.end_adoption();
  adopter_.reset();
}

std::vector<Finding> Examiner::look(const std::vector<std::string>& paths, const Moves& moves) {
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

Finding Examiner::look_at(const std::string& path, const Moves& moves) {
  context_.beat();
  // First, since it costs less than all else, and most of what the downloader does comes here.
  if (is_claimed(instance_, path)) return {Outcome::claimed, {}, {}};
  if (rules_.covers(path)) return look_at_ignored(path);
  auto stat = share_.stat(path);
  if (!stat) return unreadable(path, stat.error());
  // A folder or a symlink in a file's place is the file's end.
  if (!stat.value() || stat.value()->type != share::FileType::file) {
    note_readable(path);
    return look_at_missing(path);
  }
  if (auto good = share::check_ignore_file(path, stat.value()->size); !good) {
    return unreadable(path, good.error());
  }
  return look_at_file(path, *stat.value(), moves);
}

Finding Examiner::look_at_ignored(const std::string& path) const {
  const auto record = instance_.dictionary.find(path);
  const bool is_known = record && !record->entry.deleted;
  return {is_known ? Outcome::ignored : Outcome::unchanged, {}, {}};
}

Finding Examiner::look_at_missing(const std::string& path) const {
  // The ticket first: when it is gone, what it brought is in the dictionary. Also where nothing is
  // recorded yet: what was put in place and moved away at once will be.
  if (is_claimed(instance_, path)) return {Outcome::claimed, {}, {}};
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
bool Examiner::leave_placed(const std::string& path, const share::FileStat& stat,
                            const Record* known, const ContentHashes& hashes) {
  if (!instance_.tickets.find(path)) return false;
  const auto ticket = instance_.store.find_ticket(path);
  if (!ticket) return false;
  sync::Here here{.record = known, .standing = sync::Standing::other, .hashes = {}};
  here.set_file(stat);
  const std::uint64_t now_ms = wall_ms();
  const HashKinds kinds = sync::kinds_of_placed(*ticket, here, instance_.writer, now_ms);
  here.hashes = hashes;
  if (!hashes.covers(kinds)) {
    const Content content = read(path, stat, kinds, false);
    if (!content.hashes) return true;  // it is looked at again
    here.hashes = content.hashes.value();
  }
  if (!sync::is_placed(*ticket, here, instance_.writer, now_ms)) return false;
  instance_.tickets.give_back(path, ticket->id);
  instance_.wakes.downloader.signal();
  return true;
}

/// Said once, until it could be read again.
Finding Examiner::unreadable(const std::string& path, const Error& error) {
  const std::lock_guard lock{mutex_};
  if (unreadable_.insert(path).second) {
    log_warning("{}; skipped until it can be read", error.text());
  }
  return {Outcome::unreadable, {}, {}};
}

void Examiner::note_readable(const std::string& path) {
  announcer_.note_settled(path);
  const std::lock_guard lock{mutex_};
  unreadable_.erase(path);
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

Finding Examiner::have_hashed(const std::string& path, const share::FileStat& stat,
                              const Record* known, HashKinds kinds, bool cuts,
                              std::optional<LargeFiles::Done> done) {
  using Work = LargeFiles::Work;
  if (large_files_.is_pending(path)) return {Outcome::hashing, {}, {}};
  const bool failed = done && !done->hashes;
  LargeFiles::Wish wish =
      done ? std::move(done->wish) : LargeFiles::Wish{.path = path, .stat = stat};
  wish.cuts |= cuts;
  wish.kinds = kinds;
  wish.now_ms = wall_ms();
  const bool is_ready = wish.cuts ? !wish.manifest.blocks.empty() : wish.sketch.has_value();
  // Not while the hash may say that it is nobody's change.
  const bool is_worth = !adopter_ && !failed && announcer_.is_worth(wish);
  wish.announced = is_worth && is_ready;
  wish.work = !is_worth || is_ready ? Work::hash : wish.cuts ? Work::cut : Work::sketch;
  if (wish.announced) {
    announcer_.announce(
        sync::found_file(known, path, stat, std::nullopt, finder(wish.now_ms)).entry,
        wish.manifest);
  }
  large_files_.ask(std::move(wish));
  return {Outcome::hashing, {}, {}};
}

void Examiner::note_sketch(const Record& record, const LargeFiles::Done& done) const {
  const Entry& entry = record.entry;
  if (!done.wish.sketch || !entry.hash || !share::is_unchanged(done.wish.stat, record)) return;
  instance_.store.put_sketch({*entry.hash, entry.size, entry.mtime_ns}, *done.wish.sketch);
}

Examiner::Content Examiner::read(const std::string& path, const share::FileStat& stat,
                                 HashKinds kinds, bool cuts) {
  Content out;
  const auto beat = [this] {
    context_.beat();
    return !context_.stopping();
  };
  out.hashes =
      hash_as_it_is(share_, path, stat, kinds, cuts ? &out.manifest.blocks : nullptr, beat);
  out.now_ms = wall_ms();
  return out;
}

Finding Examiner::unread(const std::string& path, const share::FileStat& stat,
                         const Content& content) {
  const int code = content.hashes.error().code.value();
  const bool changed = code == share::kChangedMeanwhile;
  if (stat.size >= kLargeBytes && changed) announcer_.note_unsettled(path);
  const bool passes = code == ENOENT || code == ECANCELED || changed;
  Finding finding =
      passes ? Finding{Outcome::restless, {}, {}} : unreadable(path, content.hashes.error());
  finding.announced = content.announced;
  return finding;
}

Finding Examiner::look_at_file(const std::string& path, const share::FileStat& stat,
                               const Moves& moves) {
  const bool is_large = stat.size >= kLargeBytes;
  auto done = is_large ? large_files_.take(path) : std::nullopt;
  const bool claimed = is_claimed(instance_, path);  // asked before the record, as above
  const auto record = instance_.dictionary.find(path);
  if (record && share::is_unchanged(stat, *record) && stat.mode == record->entry.mode) {
    if (done) note_sketch(*record, *done);
    return {};
  }
  if (claimed) return {Outcome::claimed, {}, {}};

  const Record* known = record ? &*record : nullptr;
  const auto origin = origin_of(path, stat, moves);
  const HashKind kind = hash_kind(instance_.settings);
  const HashKinds kinds = sync::kinds_to_record(known, stat.size, kind);
  // Of a new version the peers have the old one, and fetch only the blocks that it has not.
  const bool cuts = record && !record->entry.deleted && stat.size > share::kWorthCutting;
  if (done && !(done->wish.stat == stat)) {
    announcer_.note_unsettled(path);
    Finding finding{Outcome::restless, {}, {}};
    finding.announced = done->wish.announced;
    return finding;
  }
  const bool is_hashed = done && done->wish.work == LargeFiles::Work::hash;
  if (is_large && !origin && !is_hashed) {
    return have_hashed(path, stat, known, kinds, cuts, std::move(done));
  }

  Content content = is_hashed ? Content{.hashes = std::move(done->hashes),
                                        .manifest = std::move(done->wish.manifest),
                                        .sketch = std::move(done->wish.sketch),
                                        .now_ms = done->wish.now_ms,
                                        .announced = done->wish.announced}
                    : origin  ? Content{.hashes = hashes_with(*origin->entry.hash)}
                              : read(path, stat, kinds, cuts);
  if (!content.hashes) return unread(path, stat, content);
  note_readable(path);
  const ContentHashes& hashes = content.hashes.value();
  if (leave_placed(path, stat, known, hashes)) return {Outcome::claimed, {}, {}};
  const ContentHash hash = sync::recorded_hash(hashes, known, kind);
  sync::Change change{sync::found_file(known, path, stat, hash, finder(content.now_ms)),
                      known != nullptr ? known->sequence : 0};
  return {.outcome = Outcome::written,
          .change = std::move(change),
          .seen = stat,
          .moved_from = origin ? origin->entry.path : std::string{},
          .manifest = std::move(content.manifest),
          .sketch = std::move(content.sketch),
          .announced = content.announced};
}

}  // namespace lefting::scanner

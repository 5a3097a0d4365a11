// How a worksite takes what is here already instead of fetching it.
#include <algorithm>
#include <cerrno>

#include "common/base/log.h"
#include "common/share/hash.h"
#include "downloader/worksite.h"

namespace lefting::downloader {

namespace {

/// What has at least one in so many parts of the bytes is made of old content.
constexpr std::uint64_t kWorthCopying = 16;
/// A peer may name any files, and to cut one takes a second a GiB.
constexpr std::size_t kMostOldFiles = 3;

}  // namespace

void Worksite::take_local(Job& job) {
  const Entry& wanted = job.wanted();
  if (!wanted.hash || wanted.size < store::kContentBytes) return;
  for (const Record& record : instance_.store.find_content(wanted.size, *wanted.hash)) {
    if (auto fd = open_as_recorded(record)) take_whole(job, fd.take(), record.entry.path);
    if (job.stage != Job::Stage::fetch) return;
  }
  // Only by size and time it may be that: not worth what has come.
  if (!job.view.ticket.done.empty()) return;
  for (const share::Trashed& trashed : trash_.find(wanted.size, wanted.mtime_ns)) {
    const std::string path = trashed.trash_path();
    if (auto fd = share_.open_file(path)) take_whole(job, fd.take(), path);
    if (job.stage != Job::Stage::fetch) return;
  }
}

/// A file with the wanted content is an old version that has all of it.
void Worksite::take_whole(Job& job, UniqueFd old_file, const std::string& from) {
  if (!job.partial) open_partial(job);
  if (job.stage != Job::Stage::fetch) return;
  job.delta.emplace();
  job.delta->runs = {{.from = 0, .to = 0, .length = job.wanted().size}};
  job.delta->old_file = std::move(old_file);
  job.delta->from = from;
  job.delta->leave_out(job.done, block_bytes(job.wanted().size));
  copy_old(job);
  if (job.is_whole()) end_delta(job);
}

/// Its record says what it holds.
Result<UniqueFd> Worksite::open_as_recorded(const Record& record) const {
  auto fd = share_.open_file(record.entry.path);
  if (!fd) return fd;
  const auto stat = share::stat_fd(fd.value().get());
  if (!stat) return stat.error();
  if (!share::is_unchanged(stat.value(), record)) {
    return os_error(share::kChangedMeanwhile, "open", record.entry.path);
  }
  return fd;
}

bool Worksite::has_old_version(const Job& job) {
  return job.found && job.record && job.record->entry.hash && !job.record->entry.deleted &&
         job.found->type == share::FileType::file && job.found->size > share::kWorthCutting;
}

/// Not what a delta makes little of.
bool Worksite::may_be_here(const Job& job) const {
  return job.plan.keeps || (job.found && !has_old_version(job)) ||
         !trash_.find(job.wanted().size, job.wanted().mtime_ns).empty();
}

bool Worksite::wants_delta(const Job& job) const {
  const bool can_prove = job.wanted().hash || job.awaits_hash();
  const bool may_have_some = has_old_version(job) || job.wanted().size >= share::kWorthSketching;
  return can_prove && may_have_some && !job.no_delta && job.blocks > 1 && job.partial &&
         job.frontier < job.blocks;
}

void Worksite::begin_delta(Job& job, Manifest manifest) {
  const auto new_blocks = share::decode_blocks(manifest.blocks);
  std::uint64_t size = 0;
  for (const share::Block& block : new_blocks.value_or(std::vector<share::Block>{})) {
    size += block.length;
  }
  if (size != job.wanted().size) return;
  for (OldFile& old : old_files(job, manifest.bases)) {
    auto delta = plan_delta_of(old, *new_blocks);
    if (!delta || (job.delta && job.delta->missing_bytes() <= delta->missing_bytes())) continue;
    // Most likely it was only touched.
    const bool is_same = delta->missing.empty() && delta->runs.size() == 1 &&
                         delta->runs[0].from == 0 && old.size == size && old.path == job.path();
    if (is_same && job.awaits_hash()) return;
    job.delta = std::move(delta);
    job.delta->old_file = std::move(old.fd);
    job.delta->from = std::move(old.path);
    if (job.delta->missing_bytes() <= size / 2) break;
  }
  if (!job.delta) return;
  // A little in common is not worth that it comes from one peer only; nor what has come already.
  const bool has_little = job.delta->missing_bytes() > size - size / kWorthCopying;
  if (has_little || job.delta->leave_out(job.done, block_bytes(size))) return job.delta.reset();
  job.delta->manifest = std::move(manifest);
}

std::vector<Worksite::OldFile> Worksite::old_files(const Job& job,
                                                   const std::vector<Basis>& bases) const {
  std::vector<OldFile> files;
  if (has_old_version(job)) add_recorded(files, *job.record);
  for (const Basis& basis : bases) {
    const auto records = instance_.store.find_content(basis.size, basis.hash);
    if (std::ranges::any_of(records, [&](const Record& r) { return add_recorded(files, r); })) {
      continue;
    }
    // What was moved away, and changed, is there.
    for (const share::Trashed& trashed : trash_.find(basis.size, basis.mtime_ns)) {
      const std::string path = trashed.trash_path();
      if (auto fd = share_.open_file(path)) files.push_back({fd.take(), path, basis.size});
    }
  }
  if (files.size() > kMostOldFiles) files.resize(kMostOldFiles);
  return files;
}

bool Worksite::add_recorded(std::vector<OldFile>& files, const Record& record) const {
  auto fd = open_as_recorded(record);
  if (fd) files.push_back({fd.take(), record.entry.path, record.entry.size, record.entry.hash});
  return fd.ok();
}

std::optional<Delta> Worksite::plan_delta_of(const OldFile& old,
                                             std::span<const share::Block> new_blocks) const {
  const auto goes_on = [this] { return !context_.stopping(); };
  const auto stored =
      old.hash ? instance_.store.find_manifest(*old.hash, share::kCutRule) : std::nullopt;
  if (stored) {
    if (const auto old_blocks = share::decode_blocks(stored->blocks)) {
      return plan_delta(*old_blocks, new_blocks);
    }
  }
  auto in_place = plan_in_place(old.fd.get(), new_blocks, goes_on);
  if (!in_place) return std::nullopt;
  if (in_place.value()) return in_place.take();
  const auto cut =
      share::cut_file(old.fd.get(), old.size, instance_.settings.hash_threads, goes_on);
  if (!cut) return std::nullopt;
  if (old.hash) {
    instance_.store.put_manifest(*old.hash, share::kCutRule,
                                 {.blocks = share::encode_blocks(cut.value())});
  }
  return plan_delta(cut.value(), new_blocks);
}

/// What can't be read now is sketched by the scanner's next traversal.
void Worksite::sketch(const Job& job) {
  const Entry& wanted = job.wanted();
  const auto hash = wanted.hash ? wanted.hash : job.hash;
  if (wanted.size < share::kWorthSketching || !hash || instance_.store.has_sketch(*hash)) return;
  const auto sketch =
      share::sketch_file(job.partial->fd(), wanted.size, [this] { return !context_.stopping(); });
  if (sketch) instance_.store.put_sketch({*hash, wanted.size, wanted.mtime_ns}, sketch.value());
}

void Worksite::copy_old(Job& job) {
  if (job.delta->copied) return;
  const Status copied = copy_runs(job);
  if (!copied) return begin_anew(job, copied.error());
  job.delta->copied = true;
}

void Worksite::end_delta(Job& job) {
  const Delta delta = std::move(*job.delta);
  job.delta.reset();
  Status proved = take_hash(job);
  if (proved && job.hash != job.wanted().hash) {
    proved =
        plain_error("read \"" + printable(delta.from) + "\"", "it is not what was recorded of it");
  }
  if (!proved) return begin_anew(job, proved.error());
  if (!delta.manifest.blocks.empty()) {
    instance_.store.put_manifest(*job.wanted().hash, share::kCutRule, delta.manifest);
  }
  finish(job);
  if (job.stage != Job::Stage::fetched || delta.from == job.path()) return;
  log_info("\"{}\" is made of \"{}\" and {} bytes more", printable(job.path()),
           printable(delta.from), delta.missing_bytes());
}

void Worksite::begin_anew(Job& job, const Error& why) {
  if (why.code.value() == ECANCELED) return job.give_back();  // a newer wish, or the role ends
  log_warning("{}; \"{}\" is fetched as a whole", why.text(), printable(job.path()));
  job.close();
  job.hash.reset();
  if (auto gone = forget_content(job); !gone) put_off_by(job, gone.error());
}

Status Worksite::copy_runs(Job& job) {
  const std::uint64_t size = job.wanted().size;
  if (job.writer) job.writer->advance(job.delta->end_of_missing(0, size));
  const bool reads = job.writer && job.partial->copies_through_cache();
  for (const Delta::Run& run : job.delta->runs) {
    if (auto copied = reads ? read_run(job, run) : copy_run(job, run); !copied) return copied;
  }
  if (job.writer) return job.writer->settle();
  return hash_partial(job);
}

Status Worksite::copy_run(Job& job, const Delta::Run& run) {
  constexpr std::uint64_t kStep = 16u << 20;
  for (std::uint64_t done = 0; done < run.length; done += kStep) {
    if (context_.stopping()) return os_error(ECANCELED, "copy");
    const std::uint64_t length = std::min(kStep, run.length - done);
    auto copied =
        job.partial->copy(job.delta->old_file.get(), run.from + done, length, run.to + done);
    if (!copied) return copied;
    if (job.writer) {
      job.writer->advance(job.delta->end_of_missing(run.to + done + length, job.wanted().size));
    }
    job.partial->start_sync();  // the hasher comes behind
  }
  return {};
}

/// As if it came from a peer: hashed from memory, and written past the page cache.
Status Worksite::read_run(Job& job, const Delta::Run& run) {
  for (std::uint64_t done = 0; done < run.length;) {
    if (context_.stopping()) return os_error(ECANCELED, "copy");
    const std::uint64_t at = run.to + done;
    const std::uint64_t length = std::min(kMostPiece - at % kMostPiece, run.length - done);
    const std::span<std::byte> room = job.writer->room(length);
    const auto came = pread_all(job.delta->old_file.get(), room, run.from + done);
    if (!came) return came.error();
    if (came.value() != length) return os_error(share::kChangedMeanwhile, "copy", job.path());
    if (auto put = job.writer->put({at, length}); !put) return put;
    done += length;
  }
  return {};
}

}  // namespace lefting::downloader

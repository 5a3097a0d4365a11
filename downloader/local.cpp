// How a worksite takes what is here already instead of fetching it.
#include <algorithm>
#include <cerrno>

#include "common/base/log.h"
#include "common/share/hash.h"
#include "downloader/worksite.h"

namespace lefting::downloader {

namespace {

/// So much is copied between two looks at whether to stop.
constexpr std::uint64_t kCopyBlocks = 16;

}  // namespace

void Worksite::take_local(Job& job) {
  const Entry& wanted = job.wanted();
  if (!wanted.hash || wanted.size < store::kContentBytes) return;
  for (const Record& record : instance_.store.find_content(*wanted.hash)) {
    if (record.entry.size != wanted.size) continue;
    if (!job.partial) open_partial(job);
    if (job.stage != Job::Stage::fetch) return;
    if (!copy_content(job, record)) continue;
    if (const Status hashed = take_hash(job); !hashed) return put_off_by(job, hashed.error());
    if (job.hash == wanted.hash) return finish(job);
    begin_anew(job, record.entry.path);
    if (job.stage != Job::Stage::fetch) return;
  }
}

void Worksite::begin_anew(Job& job, const std::string& from) {
  log_warning("\"{}\" is not what was recorded of it, so \"{}\" is fetched", printable(from),
              printable(job.path()));
  job.hasher.reset();  // before the file that it reads
  job.partial.reset();
  job.hash.reset();
  if (auto gone = forget_partial(job); !gone) put_off_by(job, gone.error());
}

/// Its record says what it holds; the proof comes at the end.
bool Worksite::copy_content(Job& job, const Record& from) {
  const auto fd = share_.open_file(from.entry.path);
  if (!fd) return false;
  const auto stat = share::stat_fd(fd.value().get());
  if (!stat || !share::is_unchanged(stat.value(), from)) return false;
  const std::uint64_t block = block_bytes(job.wanted().size);
  for (std::uint64_t at = job.frontier; at < job.blocks; at = job.frontier) {
    if (context_.stopping()) return false;
    const std::uint64_t end = std::min(at + kCopyBlocks, job.blocks);
    const std::uint64_t offset = at * block;
    const std::uint64_t length = std::min(end * block, job.wanted().size) - offset;
    if (!job.partial->copy(fd.value().get(), offset, length, offset)) return false;
    note_here(job, end);
  }
  if (job.blocks == 1) {  // of a larger one the hasher has read what was copied
    auto hash = share::hash_file(job.partial->fd(), [this] { return !context_.stopping(); });
    if (!hash) return false;
    job.hash = hash.value();
  }
  log_info("\"{}\" is taken from \"{}\"", printable(job.path()), printable(from.entry.path));
  return true;
}

bool Worksite::wants_delta(const Job& job) const {
  return !job.delta && job.found && job.record && job.record->entry.hash && job.wanted().hash &&
         !job.no_delta && job.blocks > 1 && job.partial && !job.partial->resumed() &&
         job.frontier == 0 && job.found->type == share::FileType::file &&
         job.found->size > share::kWorthCutting;
}

void Worksite::begin_delta(Job& job, std::string blocks) {
  job.no_delta = true;  // for the second time
  const auto new_blocks = share::decode_blocks(blocks);
  const auto size_of = [](const std::vector<share::Block>& all) {
    std::uint64_t sum = 0;
    for (const share::Block& block : all) sum += block.length;
    return sum;
  };
  if (!new_blocks || size_of(*new_blocks) != job.wanted().size) return;
  auto fd = share_.open_file(job.path());
  if (!fd) return;
  const auto stat = share::stat_fd(fd.value().get());
  if (!stat || !(stat.value() == *job.found)) return;
  auto stored = instance_.store.find_manifest(*job.record->entry.hash, share::kCutRule);
  std::optional<std::vector<share::Block>> old_blocks;
  if (stored) old_blocks = share::decode_blocks(*stored);
  if (!old_blocks) {
    auto cut = share::cut_file(fd.value().get(), stat.value().size, instance_.settings.hash_threads,
                               [this] { return !context_.stopping(); });
    if (!cut) return;
    old_blocks = cut.take();
  }
  job.delta = plan_delta(*old_blocks, *new_blocks);
  if (!job.delta) return;
  job.delta->old_file = fd.take();
  job.delta->blocks = std::move(blocks);
}

void Worksite::end_delta(Job& job) {
  const Status copied = copy_runs(job);
  if (!copied && context_.stopping()) return job.give_back();
  const Delta delta = std::move(*job.delta);
  job.delta.reset();
  const Status hashed = copied ? take_hash(job) : copied;
  if (!hashed && hashed.error().code.value() != share::kChangedMeanwhile) {
    return put_off_by(job, hashed.error());
  }
  if (!hashed || job.hash != job.wanted().hash) return begin_anew(job, job.path());
  instance_.store.put_manifest(*job.wanted().hash, share::kCutRule, delta.blocks);
  finish(job);
}

Status Worksite::copy_runs(Job& job) {
  constexpr std::uint64_t kStep = 16u << 20;
  for (const Delta::Run& run : job.delta->runs) {
    for (std::uint64_t done = 0; done < run.length; done += kStep) {
      if (context_.stopping()) return os_error(ECANCELED, "copy");
      const std::uint64_t length = std::min(kStep, run.length - done);
      auto copied =
          job.partial->copy(job.delta->old_file.get(), run.from + done, length, run.to + done);
      if (!copied) return copied;
      job.hasher->advance(run.to + done + length);
      job.partial->start_sync();  // the hasher comes behind
    }
  }
  job.hasher->advance(job.wanted().size);
  return {};
}

/// All before `blocks` is in the partial file.
void Worksite::note_here(Job& job, std::uint64_t blocks) {
  for (; job.frontier < blocks || (job.frontier < job.blocks && job.has(job.frontier));
       ++job.frontier) {
    job.done[job.frontier / 8] =
        static_cast<std::uint8_t>(job.done[job.frontier / 8] | 1u << (job.frontier % 8));
  }
  if (job.hasher) {
    job.hasher->advance(std::min(job.wanted().size, job.frontier * block_bytes(job.wanted().size)));
  }
}

}  // namespace lefting::downloader

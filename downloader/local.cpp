// How a worksite takes what is here already instead of fetching it.
#include <algorithm>

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
    log_warning("\"{}\" is not what was recorded of it, so \"{}\" is fetched",
                printable(record.entry.path), printable(job.path()));
    job.partial.reset();
    if (auto gone = forget_partial(job); !gone) return put_off_by(job, gone.error());
  }
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

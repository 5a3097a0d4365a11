// How a file server answers for files that are on their way to here.
#include <algorithm>

#include "common/base/os.h"
#include "common/share/partial.h"
#include "common/share/path.h"
#include "common/sync/version.h"
#include "listener/file_server.h"

namespace lefting::listener {

namespace {

/// A peer may announce any size; this is 256 TiB.
constexpr std::uint64_t kMostBits = std::uint64_t{1} << 24;

/// Whether all blocks of these bytes have come.
bool has_range(const Ticket& ticket, std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t size = ticket.wanted.size;
  if (offset >= size) return false;
  const std::uint64_t block = block_bytes(size);
  const std::uint64_t last = (std::min(length, size - offset) + offset - 1) / block;
  for (std::uint64_t at = offset / block; at <= last; ++at) {
    if (!has_bit(ticket.done, at)) return false;
  }
  return true;
}

/// Others leave a part of it to who fetches it.
bool is_begun(const state::TicketView& ticket) {
  return ticket.state == state::TicketState::active || ticket.done_bytes > 0;
}

}  // namespace

bool is_of(const Entry& entry, const VersionCounter& wanted) {
  return !entry.deleted && sync::stamp_counter(entry.version) == wanted;
}

Answer FileServer::answer_have(const wire::Request& request) {
  const wire::GetFile& wanted = request.file;
  Answer answer = answer_to(request);
  std::vector<std::uint8_t> bits;
  const auto record = instance_.dictionary.find(wanted.path);
  if (record && is_of(record->entry, *wanted.stamp)) {
    answer.reply.size = record->entry.size;
    bits.assign((block_count(answer.reply.size) + 7) / 8, 0xff);
  } else {
    auto ticket = instance_.tickets.find(wanted.path);
    const bool is_it = ticket && is_of(ticket->ticket.wanted, *wanted.stamp) && is_begun(*ticket);
    if (!is_it || block_count(ticket->ticket.wanted.size) > kMostBits) {
      return refuse(request, wire::Code::not_found, "nothing of that version is here");
    }
    answer.reply.size = ticket->ticket.wanted.size;
    bits = std::move(ticket->ticket.done);
    bits.resize((block_count(answer.reply.size) + 7) / 8);
  }
  answer.reply.block_bytes = block_bytes(answer.reply.size);
  const auto bytes = std::as_bytes(std::span{bits});
  answer.data.assign(bytes.begin(), bytes.end());
  return answer;
}

std::optional<Answer> FileServer::answer_partial(const wire::Request& request) {
  const wire::GetFile& wanted = request.file;
  const auto has_it = [&](const std::optional<state::TicketView>& view) {
    return view && is_of(view->ticket.wanted, *wanted.stamp) &&
           has_range(view->ticket, wanted.offset, wanted.length);
  };
  const auto before = instance_.tickets.find(wanted.path);
  if (!has_it(before)) return std::nullopt;
  const Entry& entry = before->ticket.wanted;
  auto fd = share_.open_file(share::partial_path(wanted.path));
  if (!fd) {  // it may have its name, and not be recorded yet
    fd = share_.open_file(wanted.path);
    const auto stat = fd ? share::stat_fd(fd.value().get()) : Result<share::FileStat>(fd.error());
    const bool is_it =
        stat && stat.value().size == entry.size && stat.value().mtime_ns == entry.mtime_ns;
    if (!is_it) return std::nullopt;
  }
  Answer answer = answer_to(request);
  answer.data.resize(std::min(wanted.length, entry.size - wanted.offset));
  const auto came = pread_all(fd.value().get(), answer.data, wanted.offset);
  if (!came || came.value() != answer.data.size()) return std::nullopt;
  // It may have been replaced by another wish's before it was opened.
  const auto after = instance_.tickets.find(wanted.path);
  const auto record = instance_.dictionary.find(wanted.path);
  const bool is_same = has_it(after) && after->ticket.id == before->ticket.id;
  if (!is_same && !(record && is_of(record->entry, *wanted.stamp))) return std::nullopt;
  instance_.traffic().sent.fetch_add(answer.data.size(), std::memory_order_relaxed);
  answer.reply.offset = wanted.offset;
  answer.reply.size = entry.size;
  answer.reply.mtime_ns = entry.mtime_ns;
  return answer;
}

}  // namespace lefting::listener

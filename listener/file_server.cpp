#include "listener/file_server.h"

#include <algorithm>
#include <cerrno>

#include "common/base/log.h"
#include "common/base/os.h"
#include "common/share/cut.h"
#include "common/share/partial.h"
#include "common/sync/announcement.h"
#include "common/wire/entry_list.h"
#include "common/wire/frame.h"

namespace lefting::listener {

namespace {

/// Smaller data gains nothing.
constexpr std::size_t kWorthCompressing = 1024;
/// The other side waits for 30 s.
constexpr milliseconds kHashWait{20000};
/// So many blocks of a manifest fit a reply.
constexpr std::uint64_t kMostBlocks = wire::kMaxDataBytes / share::kEncodedBlock;

wire::Code code_of(const Error& error) {
  switch (error.code.value()) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
      return wire::Code::not_found;
    case ELOOP:
    case EXDEV:
    case ENAMETOOLONG:
      return wire::Code::bad_path;
    default:
      return wire::Code::internal;
  }
}

void compress(Answer& answer) {
  if (answer.data.size() < kWorthCompressing) return;
  const std::string packed =
      wire::compress({reinterpret_cast<const char*>(answer.data.data()), answer.data.size()});
  if (packed.size() >= answer.data.size() - answer.data.size() / 16) return;
  answer.reply.encoding = wire::Encoding::zstd;
  answer.reply.raw_size = answer.data.size();
  const auto bytes = std::as_bytes(std::span{packed});
  answer.data.assign(bytes.begin(), bytes.end());
}

}  // namespace

Answer refuse(const wire::Request& request, wire::Code code, std::string message) {
  Answer answer;
  answer.reply = wire::error_reply(request, code, std::move(message));
  return answer;
}

Answer answer_to(const wire::Request& request) {
  Answer answer;
  answer.reply.operation = "get_file";
  answer.reply.id = request.id;
  return answer;
}

FileServer::FileServer(Instance& instance, const share::Share& share, NewRecords& new_records)
    : instance_{instance}, share_{share}, new_records_{new_records} {}

Answer FileServer::answer(const wire::Request& request) {
  switch (request.file.part) {
    case wire::Part::block:
      return answer_block(request);
    case wire::Part::entry:
      return answer_entry(request);
    case wire::Part::manifest:
      return answer_manifest(request);
    case wire::Part::have:
      return answer_have(request);
  }
  return refuse(request, wire::Code::bad_request, "no such part");
}

Answer FileServer::answer_manifest(const wire::Request& request) {
  const wire::GetFile& wanted = request.file;
  const auto record = instance_.dictionary.find(wanted.path);
  const bool is_it =
      record && !record->entry.deleted && (!wanted.stamp || is_of(record->entry, *wanted.stamp));
  const auto hash = is_it ? record->entry.hash : std::nullopt;
  auto content = hash;
  if (!content && wanted.stamp) content = sync::announced_content(wanted.path, *wanted.stamp);
  if (!content) return refuse(request, wire::Code::not_found, "no such file");
  if (wanted.hash && hash != wanted.hash) return changed(request, record, std::nullopt);
  const auto stored = instance_.store.find_manifest(*content, share::kCutRule);
  if (!stored) return refuse(request, wire::Code::not_found, "this file has not been cut");
  Answer answer = answer_to(request);
  answer.reply.hash = hash;
  answer.reply.cut = share::kCutRule;
  answer.reply.blocks = stored->blocks.size() / share::kEncodedBlock;
  answer.reply.first = wanted.first;
  answer.reply.bases = stored->bases;
  if (wanted.first > answer.reply.blocks) {
    return refuse(request, wire::Code::out_of_range, "there are fewer blocks");
  }
  const std::uint64_t most = std::min(wanted.count == 0 ? kMostBlocks : wanted.count, kMostBlocks);
  const std::uint64_t count = std::min(answer.reply.blocks - wanted.first, most);
  const auto bytes = std::as_bytes(std::span{stored->blocks}.subspan(
      wanted.first * share::kEncodedBlock, count * share::kEncodedBlock));
  answer.data.assign(bytes.begin(), bytes.end());
  return answer;
}

Result<int> FileServer::open(const std::string& path) {
  if (open_fd_ && open_path_ == path) {
    // The name may stand for another file by now.
    auto named = share_.stat(path);
    auto held = share::stat_fd(open_fd_.get());
    if (named && named.value() && held && named.value()->inode == held.value().inode) {
      return open_fd_.get();
    }
  }
  open_fd_.reset();
  auto fd = share_.open_file(path);
  if (!fd) return fd.error();
  open_fd_ = fd.take();
  open_path_ = path;
  return open_fd_.get();
}

Answer FileServer::changed(const wire::Request& request, const std::optional<Record>& record,
                           const std::optional<share::FileStat>& stat) const {
  Answer answer{wire::error_reply(request, wire::Code::changed,
                                  "the file is not the content that was asked for"),
                {}};
  if (record && (!stat || share::is_unchanged(*stat, *record))) {
    answer.reply.entry = record->entry;
  } else if (stat) {
    answer.reply.entry = Entry{.path = request.file.path,
                               .size = stat->size,
                               .mtime_ns = stat->mtime_ns,
                               .mode = stat->mode,
                               .hash = std::nullopt,
                               .version = {},
                               .deleted = false};
  }
  return answer;
}

Answer FileServer::answer_block(const wire::Request& request) {
  const wire::GetFile& wanted = request.file;
  const auto record = instance_.dictionary.find(wanted.path);
  if (wanted.stamp && !(record && is_of(record->entry, *wanted.stamp))) {
    if (auto partial = answer_partial(request)) return std::move(*partial);
  }
  if (wanted.hash) {
    if (!record || record->entry.deleted)
      return refuse(request, wire::Code::not_found, "no such file");
    if (record->entry.hash != wanted.hash) return changed(request, record, std::nullopt);
  }
  const auto fd = open(wanted.path);
  if (!fd) return refuse(request, code_of(fd.error()), fd.error().code.message());
  const auto stat = share::stat_fd(fd.value());
  if (!stat) return refuse(request, wire::Code::internal, "the file can't be read");
  const bool recorded = record && share::is_unchanged(stat.value(), *record);
  if (wanted.hash && !recorded) return changed(request, record, stat.value());
  if (wanted.offset > stat.value().size) {
    return refuse(request, wire::Code::out_of_range, "offset beyond the file's end");
  }
  serving_ = stat.value();
  Answer answer = begin_block(request, record);
  if (!answer.reply.error && recorded) answer.reply.hash = record->entry.hash;
  return answer;
}

Answer FileServer::begin_block(const wire::Request& request, const std::optional<Record>& record) {
  const wire::GetFile& wanted = request.file;
  const std::uint64_t length = std::min(wanted.length, serving_.size - wanted.offset);
  Answer answer = answer_to(request);
  // Only what is in memory as a whole can be compressed.
  const std::uint64_t first = wanted.accepts_zstd ? kCompressedBytes : kPieceBytes;
  answer.data.resize(std::min<std::uint64_t>(length, first));
  answer.rest_bytes = length - answer.data.size();
  at_ = wanted.offset + answer.data.size();
  if (const auto read = read_piece(answer.data, wanted.offset); !read) {
    if (read.error().code.value() == share::kChangedMeanwhile) {
      const auto now = share::stat_fd(open_fd_.get());
      return changed(request, record, now ? std::optional{now.value()} : std::nullopt);
    }
    log_warning("read \"{}\": {}", printable(wanted.path), read.error().text());
    return refuse(request, wire::Code::internal, "the file can't be read");
  }
  instance_.traffic().sent.fetch_add(length, std::memory_order_relaxed);
  if (wanted.accepts_zstd && answer.rest_bytes == 0) compress(answer);
  answer.reply.offset = wanted.offset;
  answer.reply.size = serving_.size;
  answer.reply.mtime_ns = serving_.mtime_ns;
  return answer;
}

Status FileServer::read_piece(std::span<std::byte> into, std::uint64_t offset) const {
  const auto came = pread_all(open_fd_.get(), into, offset);
  if (!came) return came.error();
  const auto now = share::stat_fd(open_fd_.get());
  if (!now) return now.error();
  if (!(now.value() == serving_) || came.value() != into.size()) {
    return os_error(share::kChangedMeanwhile, "serve", open_path_);
  }
  return {};
}

/// Its end only when it is known that all before is of one version: a reply that is cut short is
/// none, and better than one of two.
Status FileServer::send_rest(net::Connection& connection, const Answer& answer) {
  const std::uint64_t last = std::min<std::uint64_t>(answer.rest_bytes, kPieceBytes);
  const auto most = static_cast<std::uint32_t>(answer.rest_bytes - last);
  if (most > 0) {
    if (auto sent = connection.send_file(open_fd_.get(), at_, most); !sent) return sent;
  }
  piece_.resize(last);
  if (auto read = read_piece(piece_, at_ + most); !read) return read;
  return connection.send_more(piece_);
}

bool FileServer::is_unrecorded(const std::string& path, const std::optional<Record>& record) const {
  const auto stat = share_.stat(path);
  if (!stat || !stat.value() || stat.value()->type != share::FileType::file) return false;
  return !record || !share::is_unchanged(*stat.value(), *record);
}

Answer FileServer::answer_entry(const wire::Request& request) {
  const Deadline until = deadline_in(kHashWait);
  std::uint64_t count = new_records_.count();
  auto record = instance_.dictionary.find(request.file.path);
  while (is_unrecorded(request.file.path, record)) {
    if (!new_records_.wait(count, until)) {
      return refuse(request, wire::Code::busy, "it is still being hashed; ask again");
    }
    count = new_records_.count();
    record = instance_.dictionary.find(request.file.path);
  }
  if (!record || record->entry.deleted) {
    return refuse(request, wire::Code::not_found, "no such file");
  }
  Answer answer = answer_to(request);
  answer.reply.entry = record->entry;
  return answer;
}

}  // namespace lefting::listener

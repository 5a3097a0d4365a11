#include "downloader/pipeline.h"

#include <algorithm>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/share/hash.h"
#include "common/share/reason_of.h"
#include "common/sync/announcement.h"
#include "common/sync/decide.h"
#include "common/sync/version.h"
#include "common/wire/entry_list.h"

namespace lefting::downloader {

namespace {

/// What may be on its way at once, up to the disk: a little, since a death loses it, and what 2
/// Gbit/s need in a round trip.
constexpr std::uint64_t kLeastWindow = 3u << 20;
constexpr std::uint64_t kMostWindow = 32u << 20;
constexpr std::uint64_t kBytesAMicrosecond = 250;
/// The same of the requests: many small files fill a long way, too.
constexpr std::size_t kLeastRequestBytes = 16u << 10;
constexpr std::size_t kMostRequestBytes = 64u << 10;
constexpr std::size_t kRequestBytesAMicrosecond = 1;
constexpr milliseconds kReplyWait{30000};
/// Nobody waits long for who only helps.
constexpr milliseconds kMemberWait{5000};
constexpr milliseconds kLongestFetch{500};
/// Files that are made one after the other cost less than in between.
constexpr std::size_t kOpenAhead = 128;
constexpr std::uint64_t kWorthAskingAgainMs = 1000;
/// A source that has refused so often, over some 16 s, has lost what it offered.
constexpr std::uint32_t kPatience = 6;

Error unexpected(const std::string& what) {
  return {wire::make_error_code(wire::Code::bad_frame), "fetch", {}, "the peer sent " + what};
}

/// Without a hash in the request the source gives what it has: then size and mtime tell.
bool is_other_version(const wire::Reply& reply, const Entry& wanted) {
  return reply.size != wanted.size || (!wanted.hash && reply.mtime_ns != wanted.mtime_ns);
}

/// What was only announced is void then: if it comes back it is told anew.
void put_off_changed(Job& job) {
  job.denied = job.view.ticket.announced;
  job.put_off({Cause::source_changed, "the source has another version by now"});
}

/// `now`  what the source says it has; nothing: no such file.
void refuse_version(Job& job, const std::optional<Entry>& now) {
  put_off_changed(job);
  // Not at once: what was moved away may come back, and is no news to anybody then.
  job.denied |= job.view.attempts >= kPatience && sync::has_lost(job.wanted(), now);
}

}  // namespace

Pipeline::Pipeline(Worksite& site, net::Connection& connection, bool compress, From from)
    : site_{site}, connection_{connection}, compress_{compress}, from_{from} {
  // The source answers without reading on, so no request may wait for it to read.
  connection.make_room_to_send(kMostRequestBytes);
}

Pipeline::Window Pipeline::window() const {
  const auto round_trip = static_cast<std::uint64_t>(connection_.round_trip().count());
  return {.content = std::min(kLeastWindow + round_trip * kBytesAMicrosecond, kMostWindow),
          .requests = std::min(kLeastRequestBytes + round_trip * kRequestBytesAMicrosecond,
                               kMostRequestBytes)};
}

Status Pipeline::fetch(const std::vector<Job*>& jobs) {
  at_job_ = 0;
  at_block_ = 0;
  rest_ = {};
  enough_ = deadline_in(kLongestFetch);
  return exchange_all([&] { return next_request(jobs); });
}

Status Pipeline::fetch_each(Job& job, const Next& next, const Came& came) {
  came_ = came;
  rest_ = {};
  auto fetched = exchange_all([&] {
    const auto turn = take_turn();
    if (request_rest()) return true;
    const auto block = job.stage == Job::Stage::fetch ? next() : std::nullopt;
    return block && request_block(job, *block);
  });
  came_ = nullptr;
  return fetched;
}

std::unique_lock<std::mutex> Pipeline::take_turn() const {
  return turn_ != nullptr ? std::unique_lock{*turn_} : std::unique_lock<std::mutex>{};
}

Status Pipeline::exchange_all(const std::function<bool()>& next) {
  const Window most = window();
  for (;;) {
    if (auto asked = ask(next, most); !asked) return asked;
    if (sent_.empty()) return {};
    if (auto received = receive_one(); !received) return received;
  }
}

bool Pipeline::request_block(Job& job, std::uint64_t block) {
  const std::uint64_t size = job.wanted().size;
  const std::uint64_t offset = block * block_bytes(size);
  rest_ = {&job, offset, std::min(offset + block_bytes(size), size)};
  return request_rest();
}

/// A piece that is here is not written again: it may be in the file's hash.
bool Pipeline::request_rest() {
  while (rest_.offset < rest_.end && rest_.job->stage == Job::Stage::fetch) {
    const std::uint64_t offset = rest_.offset;
    const std::uint64_t length = std::min(kMostPiece, rest_.end - offset);
    rest_.offset += length;
    if (rest_.job->has_piece(offset)) continue;
    sent_.push_back({rest_.job, offset, length});
    return true;
  }
  return false;
}

void Pipeline::open_some(std::span<Job* const> jobs) {
  const Deadline begun = std::chrono::steady_clock::now();
  for (Job* job : jobs.first(std::min(jobs.size(), kOpenAhead))) {
    if (job->stage == Job::Stage::fetch && !job->partial) site_.open_partial(*job);
  }
  enough_ += std::chrono::steady_clock::now() - begun;  // that is the disk's time, not the link's
}

bool Pipeline::next_request(const std::vector<Job*>& jobs) {
  if (request_rest()) return true;
  for (; at_job_ < jobs.size(); ++at_job_, at_block_ = 0) {
    Job& job = *jobs[at_job_];
    if (at_job_ > 0 && at_block_ == 0 && std::chrono::steady_clock::now() > enough_) {
      left_some_ = true;
      return false;
    }
    if (!job.partial) open_some({jobs.begin() + static_cast<std::ptrdiff_t>(at_job_), jobs.end()});
    if (job.stage != Job::Stage::fetch) continue;
    if (job.delta) {
      if (next_missing(job)) return true;
      continue;
    }
    for (; at_block_ < job.blocks; ++at_block_) {
      if (at_block_ == 0) had_ = job.done;  // its writer marks in it what comes
      if (has_bit(had_, at_block_)) continue;
      if (request_block(job, at_block_++)) return true;
    }
  }
  return false;
}

bool Pipeline::next_missing(Job& job) {
  const Delta& delta = *job.delta;
  if (at_block_ == 0) at_block_ = delta.fetched;  // on an earlier connection
  if (at_block_ == delta.missing.size()) return false;
  const Delta::Missing& missing = delta.missing[at_block_++];
  sent_.push_back({&job, missing.offset, missing.length});
  return true;
}

Result<std::optional<Manifest>> Pipeline::fetch_manifest(const Job& job) {
  // By our rule only the last block is shorter.
  const std::uint64_t most = (job.wanted().size / share::kLeastBlock + 1) * share::kEncodedBlock;
  Manifest manifest;
  std::string& blocks = manifest.blocks;
  for (;;) {
    wire::Request request = request_for(job, wire::Part::manifest);
    request.file.first = blocks.size() / share::kEncodedBlock;
    const auto answer = exchange(request);
    if (!answer) return answer.error();
    const auto& [reply, data] = answer.value();
    const bool is_known = !reply.error && reply.cut == share::kCutRule &&
                          reply.first == request.file.first && !data.empty();
    if (!is_known || blocks.size() + data.size() > most) return std::optional<Manifest>{};
    if (blocks.empty()) manifest.bases = reply.bases;
    blocks.append(reinterpret_cast<const char*>(data.data()), data.size());
    if (blocks.size() / share::kEncodedBlock >= reply.blocks) break;
  }
  return std::optional{std::move(manifest)};
}

Result<std::optional<ContentHash>> Pipeline::fetch_hash(Job& job) {
  const wire::Request request = request_for(job, wire::Part::entry);
  for (;;) {
    const std::uint64_t asked = monotonic_ms();
    const auto answer = exchange(request);
    if (!answer) return answer.error();
    const wire::Reply& reply = answer.value().first;
    const bool has_waited = monotonic_ms() - asked > kWorthAskingAgainMs;
    if (reply.error == wire::Code::busy && has_waited) continue;  // it is still being hashed
    if (reply.error) {
      refuse(job, reply);
    } else if (!reply.entry || !sync::is_announced(job.wanted(), *reply.entry)) {
      refuse_version(job, reply.entry);
    } else {
      return reply.entry->hash;
    }
    return std::optional<ContentHash>{};
  }
}

Result<std::vector<std::uint8_t>> Pipeline::fetch_have(const Job& job) {
  const std::string request = wire::encode_request(request_for(job, wire::Part::have));
  if (auto sent = connection_.send(request); !sent) return sent.error();
  std::vector<std::uint8_t> has((job.blocks + 7) / 8);
  const auto begun = begin_reply(has.size());
  if (!begun) return begun.error();
  const auto& [reply, data_bytes] = begun.value();
  const auto bytes = std::as_writable_bytes(std::span{has}).first(data_bytes);
  if (auto read = connection_.read_data(bytes); !read) return read.error();
  const bool is_it = !reply.error && reply.size == job.wanted().size &&
                     reply.block_bytes == block_bytes(job.wanted().size);
  if (!is_it) has.clear();
  return has;
}

milliseconds Pipeline::reply_wait() const {
  return from_ == From::member ? kMemberWait : kReplyWait;
}

Result<std::pair<wire::Reply, std::uint32_t>> Pipeline::begin_reply(std::uint64_t most_bytes) {
  const auto sizes = connection_.begin_frame(reply_wait());
  if (!sizes) return sizes.error();
  if (sizes.value().data > most_bytes) return unexpected("more than was asked for");
  const auto header = connection_.read_header();
  if (!header) return header.error();
  auto reply = wire::decode_reply(header.value());
  if (!reply) return reply.error();
  return std::pair{reply.take(), sizes.value().data};
}

Result<std::pair<wire::Reply, std::vector<std::byte>>> Pipeline::exchange(
    const wire::Request& request) {
  if (auto sent = connection_.send(wire::encode_request(request)); !sent) return sent.error();
  auto frame = connection_.receive(reply_wait());
  if (!frame) return frame.error();
  auto reply = wire::decode_reply(frame.value().header);
  if (!reply) return reply.error();
  return std::pair{reply.take(), std::move(frame.value().data)};
}

Status Pipeline::ask(const std::function<bool()>& next, const Window& most) {
  if (out_.requests > most.requests / 2 && out_.content < most.content) return {};
  std::vector<std::byte> frames;
  const auto has_room = [&] {
    // Where the disk is slower than the link little is asked for ahead of it, but always something.
    ContentWriter* const writer = sent_.empty() ? nullptr : sent_.back().job->writer.get();
    const std::uint64_t content = out_.content + (writer != nullptr ? writer->pending_bytes() : 0);
    return out_.requests < most.requests && content < most.content;
  };
  while (has_room() && next()) {
    const auto frame = encode_next();
    frames.insert(frames.end(), frame.begin(), frame.end());
  }
  return frames.empty() ? Status{} : connection_.send_frames(frames);
}

wire::Request Pipeline::request_for(const Job& job, wire::Part part) {
  wire::Request request;
  request.operation = wire::Operation::get_file;
  request.file.path = job.path();
  request.file.part = part;
  const bool is_announced = part == wire::Part::manifest && !job.wanted().hash;
  if (part == wire::Part::have || is_announced)
    request.file.stamp = sync::stamp_counter(job.wanted().version);
  if (part == wire::Part::block || part == wire::Part::manifest) {
    request.file.hash = job.wanted().hash;
  }
  return request;
}

std::vector<std::byte> Pipeline::encode_next() {
  Sent& next = sent_.back();
  wire::Request request = request_for(*next.job, wire::Part::block);
  if (from_ == From::member) request.file.stamp = sync::stamp_counter(next.job->wanted().version);
  request.file.offset = next.offset;
  request.file.length = next.length;
  request.file.accepts_zstd = compress_;
  auto frame = wire::encode_frame(wire::encode_request(request));
  next.request_bytes = frame.size();
  out_.content += next.length;
  out_.requests += next.request_bytes;
  return frame;
}

Status Pipeline::receive_one() {
  const auto begun = begin_reply(sent_.front().length);
  if (!begun) return begun.error();
  const auto& [reply, data_bytes] = begun.value();
  const Sent sent = sent_.front();
  sent_.pop_front();
  out_.content -= sent.length;
  out_.requests -= sent.request_bytes;
  return take_block(sent, reply, data_bytes);
}

Status Pipeline::take_block(const Sent& sent, const wire::Reply& reply, std::uint32_t data_bytes) {
  if (reply.error == wire::Code::not_trusted || reply.error == wire::Code::bad_frame) {
    return Error{wire::make_error_code(*reply.error), "fetch", {}, reply.message};
  }
  const auto bytes = read_block(sent, reply, data_bytes);
  if (!bytes) return bytes.error();
  const auto turn = take_turn();
  if (sent.job->stage != Job::Stage::fetch) return {};  // given up meanwhile
  if (reply.error) {
    refuse(*sent.job, reply);
  } else if (is_other_version(reply, sent.job->wanted())) {
    if (from_ == From::source) put_off_changed(*sent.job);
  } else {
    take_bytes(sent, bytes.value());
  }
  return {};
}

Result<std::span<const std::byte>> Pipeline::read_block(const Sent& sent, const wire::Reply& reply,
                                                        std::uint32_t data_bytes) {
  if (!reply.error && (reply.offset != sent.offset || reply.operation != "get_file")) {
    return unexpected("a reply to something else");
  }
  const bool packed = reply.encoding == wire::Encoding::zstd;
  const std::uint64_t raw_bytes = packed ? reply.raw_size : data_bytes;
  const bool whole = raw_bytes == sent.length || is_other_version(reply, sent.job->wanted());
  if (!reply.error && !whole) return unexpected("a block of another length");
  const std::span<std::byte> into = room_for(sent, reply, data_bytes);
  if (auto read = connection_.read_data(into); !read) return read.error();
  if (!packed || reply.error) return std::span<const std::byte>{into};
  auto unpacked = wire::decompress(into, reply.raw_size);
  if (!unpacked) return unpacked.error();
  unpacked_ = unpacked.take();
  return std::as_bytes(std::span{unpacked_});
}

void Pipeline::refuse(Job& job, const wire::Reply& reply) const {
  if (from_ == From::member) return;
  switch (*reply.error) {
    case wire::Code::changed:
    case wire::Code::not_found:
      return refuse_version(job, reply.entry);
    case wire::Code::busy:
      return job.put_off({Cause::source_busy, "the source is busy"},
                         std::clamp<std::uint64_t>(reply.retry_after_ms, 100, 30000));
    default:
      return job.put_off(
          {Cause::source_failed,
           fmt::format("the source says {}: {}", to_text(*reply.error), printable(reply.message))});
  }
}

std::span<std::byte> Pipeline::room_for(const Sent& sent, const wire::Reply& reply,
                                        std::size_t bytes) {
  // The writer has room for one at a time.
  const bool is_content = turn_ == nullptr && !reply.error &&
                          reply.encoding == wire::Encoding::identity &&
                          sent.job->stage == Job::Stage::fetch && sent.job->writer;
  if (is_content) return sent.job->writer->room(bytes);
  buffer_.resize(std::max(buffer_.size(), bytes));
  return {buffer_.data(), bytes};
}

void Pipeline::take_bytes(const Sent& sent, std::span<const std::byte> bytes) {
  Job& job = *sent.job;
  if (job.writer) {
    const std::span<std::byte> room = job.writer->room(bytes.size());
    if (room.data() != bytes.data()) std::ranges::copy(bytes, room.begin());
    const bool ends_block = !job.delta && job.add_piece(sent.offset);
    auto put = job.writer->put({sent.offset, bytes.size(), ends_block});
    if (!put) site_.give_up(job, put);
    if (came_ && ends_block) came_(sent.offset / block_bytes(job.wanted().size));
    return;
  }
  if (auto written = job.partial->write(bytes, sent.offset); !written) {
    return site_.give_up(job, written);
  }
  job.hash = share::hash_bytes(bytes, site_.hash_kind(job));
  site_.note_only_block(job);
}

}  // namespace lefting::downloader

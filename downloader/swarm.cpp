#include "downloader/swarm.h"

#include <algorithm>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/sync/version.h"

namespace lefting::downloader {

namespace {

/// Smaller files are not worth the asking, in bytes.
constexpr std::uint64_t kWorthSharing = 16u << 20;
/// So much from each in a round at least, in bytes: what the others have is known as it was before.
constexpr std::uint64_t kRound = 8u << 20;
/// While nobody else fetches, each round has twice as many blocks as the last: they may be about to
/// begin.
constexpr std::size_t kFirstAlone = 2;
constexpr std::size_t kMostAlone = 512;
/// So many blocks of the others' parts at once from the source: they are about to come from them.
constexpr std::size_t kOfTheirs = 2;
constexpr int kMostFailures = 3;
/// A member that is so much slower than the source is no help.
constexpr std::uint64_t kSlow = 8;

std::uint64_t bytes_a_second(std::uint64_t bytes, std::uint64_t took_ms) {
  return bytes * 1000 / std::max<std::uint64_t>(took_ms, 1);
}

}  // namespace

Swarm::Swarm(RoleContext& context, Worksite& site, Sources& sources)
    : context_{context}, instance_{context.instance()}, site_{site}, sources_{sources} {}

Swarm::~Swarm() {
  for (Member& member : members_) {
    if (member.is_asked) sources_.drop(member.slot, {}, false);  // its answer would be in the way
  }
}

bool Swarm::is_worth(const Job& job) const {
  // What came wrong once is fetched from those that have proved it.
  return job.stage == Job::Stage::fetch && !job.delta && job.writer && job.view.attempts == 0 &&
         job.wanted().size >= kWorthSharing && !job.wanted().version.empty() &&
         (instance_.peers.online_mask() & ~job.view.ticket.sources) != 0;
}

Status Swarm::fetch(Job& job, Pipeline& source) {
  source.share_job(&turn_);
  auto fetched = fetch_all(job, source);
  source.share_job(nullptr);
  return fetched;
}

Status Swarm::fetch_all(Job& job, Pipeline& source) {
  got_ = job.done;
  gather(job);
  const std::size_t round = std::max<std::size_t>(
      1, std::max(kRound, 2 * source.window()) / block_bytes(job.wanted().size));
  std::size_t alone = kFirstAlone;
  while (job.stage == Job::Stage::fetch && !context_.stopping()) {
    ask(job);
    hear(job);
    const std::size_t most = parts() > 1 ? round : alone;
    alone = std::min(2 * alone, kMostAlone);
    asked_ = got_;
    const Blocks ours = our_blocks(job, most);
    const auto came = fetch_round(job, source, ours, most);
    if (!came) return came.error();
    if (!ours.empty() || came.value() != 0) continue;
    asked_ = got_;
    const Blocks theirs = their_blocks(job);
    if (theirs.empty()) break;
    if (auto fetched = fetch_from_source(source, job, theirs); !fetched) return fetched;
  }
  return {};
}

void Swarm::gather(const Job& job) {
  for (const state::PeerView& view : instance_.peers.list()) {
    const bool is_source = (job.view.ticket.sources >> view.peer.slot & 1) != 0;
    if (is_source || view.state != state::PeerState::online || !view.peer.device) continue;
    const auto connection = sources_.open(view.peer.slot);
    if (!connection) continue;
    members_.push_back(
        {.slot = view.peer.slot, .device = *view.peer.device, .connection = connection.value()});
  }
}

void Swarm::ask(const Job& job) {
  const std::string request = wire::encode_request(Pipeline::request_for(job, wire::Part::have));
  for (Member& member : members_) {
    if (member.is_asked) continue;
    const auto sent = member.connection->send(request);
    member.is_asked = true;
    if (!sent) drop(member, sent.error());
  }
  forget_dropped();
}

void Swarm::hear(const Job& job) {
  for (Member& member : members_) {
    auto has = hear_one(job, member);
    if (has) {
      member.is_asked = false;
      member.has = has.take();
    } else {
      drop(member, has.error());
    }
  }
  forget_dropped();
}

Result<std::vector<std::uint8_t>> Swarm::hear_one(const Job& job, Member& member) const {
  const auto frame = member.connection->receive(Pipeline::kMemberWait);
  if (!frame) return frame.error();
  const auto reply = wire::decode_reply(frame.value().header);
  if (!reply) return reply.error();
  const bool is_it = !reply.value().error && reply.value().size == job.wanted().size &&
                     reply.value().block_bytes == block_bytes(job.wanted().size);
  std::vector<std::uint8_t> has;
  if (!is_it) return has;
  for (const std::byte one : frame.value().data) has.push_back(static_cast<std::uint8_t>(one));
  has.resize(got_.size());
  return has;
}

Result<std::size_t> Swarm::fetch_round(Job& job, Pipeline& source, const Blocks& ours,
                                       std::size_t most) {
  note_asked(ours);
  std::list<Errand> errands = make_errands(job, most);
  is_source_done_ = false;
  Status fetched;
  {
    std::vector<std::jthread> threads;
    for (Errand& errand : errands) threads.emplace_back([&] { carry_out(job, errand); });
    fetched = fetch_from_source(source, job, ours);
    const std::lock_guard turn{turn_};
    // What is left of an errand can be had in the next round, with what is new.
    is_source_done_ = !ours.empty();
  }
  std::size_t came = 0;
  for (const Errand& errand : errands) came += judge(job, errand);
  forget_dropped();
  if (!fetched) return fetched.error();
  return came;
}

Status Swarm::fetch_from_source(Pipeline& source, Job& job, const Blocks& blocks) {
  if (blocks.empty()) return {};
  const std::uint64_t begun = monotonic_ms();
  auto fetched = source.fetch_blocks(job, blocks, [] { return true; });
  for (const std::uint64_t block : source.came()) set_bit(got_, block);
  source_rate_ =
      bytes_a_second(source.came().size() * block_bytes(job.wanted().size), monotonic_ms() - begun);
  return fetched;
}

std::list<Swarm::Errand> Swarm::make_errands(const Job& job, std::size_t most) {
  std::list<Errand> errands;
  for (Member& member : members_) {
    Blocks blocks = blocks_of(job, member, most);
    if (blocks.empty()) continue;
    note_asked(blocks);
    errands.push_back({.member = &member,
                       .blocks = std::move(blocks),
                       .pipeline = Pipeline{site_, *member.connection, instance_.settings.compress,
                                            Pipeline::From::member}});
    errands.back().pipeline.share_job(&turn_);
  }
  return errands;
}

void Swarm::carry_out(Job& job, Errand& errand) {
  const std::uint64_t begun = monotonic_ms();
  try {
    errand.status =
        errand.pipeline.fetch_blocks(job, errand.blocks, [this] { return !is_source_done_; });
  } catch (...) {
    errand.thrown = std::current_exception();
  }
  errand.took_ms = monotonic_ms() - begun;
}

std::size_t Swarm::judge(const Job& job, const Errand& errand) {
  if (errand.thrown) std::rethrow_exception(errand.thrown);
  Member& member = *errand.member;
  const Pipeline& pipeline = errand.pipeline;
  for (const std::uint64_t block : pipeline.came()) set_bit(got_, block);
  const std::size_t count = pipeline.came().size();
  if (!errand.status) {
    drop(member, errand.status.error());
  } else if (pipeline.asked() != 0) {
    // Between the end of its ticket and its record a member seems to have nothing.
    member.failures = count == pipeline.asked() ? 0 : member.failures + 1;
    const std::uint64_t rate =
        bytes_a_second(count * block_bytes(job.wanted().size), errand.took_ms);
    if (member.failures > kMostFailures || rate * kSlow < source_rate_) member.connection = nullptr;
  }
  return count;
}

void Swarm::note_asked(const Blocks& blocks) {
  for (const std::uint64_t block : blocks) set_bit(asked_, block);
}

Swarm::Blocks Swarm::choose(const Job& job, std::size_t most,
                            const std::function<bool(std::uint64_t)>& take) const {
  Blocks blocks;
  for (std::uint64_t block = 0; block < job.blocks && blocks.size() < most; ++block) {
    if (!has_bit(asked_, block) && take(block)) blocks.push_back(block);
  }
  return blocks;
}

bool Swarm::is_rare(std::uint64_t block) const {
  return std::ranges::none_of(members_,
                              [block](const Member& member) { return has_bit(member.has, block); });
}

Swarm::Blocks Swarm::our_blocks(const Job& job, std::size_t most) const {
  const std::uint64_t of = parts();
  const std::uint64_t ours = place_of(instance_.device());
  return choose(job, most,
                [&](std::uint64_t block) { return block % of == ours && is_rare(block); });
}

Swarm::Blocks Swarm::their_blocks(const Job& job) const {
  Blocks blocks = choose(job, job.blocks, [this](std::uint64_t block) { return is_rare(block); });
  // Nobody gives what they have.
  if (blocks.empty()) blocks = choose(job, job.blocks, [](std::uint64_t) { return true; });
  const std::size_t count = std::min(blocks.size(), kOfTheirs);
  return {blocks.end() - static_cast<std::ptrdiff_t>(count), blocks.end()};
}

Swarm::Blocks Swarm::blocks_of(const Job& job, const Member& member, std::size_t most) const {
  const std::uint64_t of = parts();
  const std::uint64_t place = place_of(member.device);
  Blocks blocks = choose(job, most, [&](std::uint64_t block) {
    return block % of == place && has_bit(member.has, block);
  });
  if (!blocks.empty()) return blocks;
  return choose(job, most, [&](std::uint64_t block) { return has_bit(member.has, block); });
}

std::uint64_t Swarm::parts() const {
  const auto fetch = [](const Member& member) { return !member.has.empty(); };
  return 1 + static_cast<std::uint64_t>(std::ranges::count_if(members_, fetch));
}

std::uint64_t Swarm::place_of(const DeviceId& device) const {
  const auto before = [&](const Member& member) {
    return !member.has.empty() && member.device < device;
  };
  const bool is_after_us = instance_.device() < device;
  return static_cast<std::uint64_t>(std::ranges::count_if(members_, before)) + is_after_us;
}

void Swarm::drop(Member& member, const Error& why) {
  log_info("peer {}: {}", member.slot, why.text());
  sources_.drop(member.slot, why, false);
  member.connection = nullptr;
}

void Swarm::forget_dropped() {
  std::erase_if(members_, [](const Member& member) { return member.connection == nullptr; });
}

}  // namespace lefting::downloader

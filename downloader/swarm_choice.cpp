// Which blocks a swarm asks of whom.
#include <algorithm>

#include "downloader/swarm.h"

namespace lefting::downloader {

bool Swarm::is_rare(std::uint64_t block) const {
  return std::ranges::none_of(members_, [block](const Member& member) {
    return is_fetching(member) && has_bit(member.has, block);
  });
}

Swarm::Blocks Swarm::our_blocks(const Job& job) const {
  const std::uint64_t of = parts();
  const std::uint64_t ours = place_of(instance_.device());
  return choose(job, End::first, kChosen,
                [&](std::uint64_t block) { return block % of == ours && is_rare(block); });
}

Swarm::Blocks Swarm::their_blocks(const Job& job, std::size_t most) const {
  Blocks blocks =
      choose(job, End::last, most, [this](std::uint64_t block) { return is_rare(block); });
  // Nobody gives what they have.
  if (blocks.empty()) blocks = choose(job, End::last, most, [](std::uint64_t) { return true; });
  return blocks;
}

Swarm::Blocks Swarm::blocks_of(const Job& job, const Member& member) const {
  if (member.has.empty()) return {};
  if (member.is_whole) return choose(job, End::last, kChosen, [](std::uint64_t) { return true; });
  const std::uint64_t of = parts();
  const std::uint64_t place = place_of(member.device);
  Blocks blocks = choose(job, End::first, kChosen, [&](std::uint64_t block) {
    return block % of == place && has_bit(member.has, block);
  });
  if (!blocks.empty()) return blocks;
  return choose(job, End::first, kChosen,
                [&](std::uint64_t block) { return has_bit(member.has, block); });
}

std::uint64_t Swarm::parts() const {
  return 1 + static_cast<std::uint64_t>(std::ranges::count_if(members_, is_fetching));
}

std::uint64_t Swarm::place_of(const DeviceId& device) const {
  const auto is_before = [&](const Member& member) {
    return is_fetching(member) && member.device < device;
  };
  const bool is_after_us = instance_.device() < device;
  return static_cast<std::uint64_t>(std::ranges::count_if(members_, is_before)) + is_after_us;
}

Swarm::Blocks Swarm::choose(const Job& job, End from, std::size_t most,
                            const std::function<bool(std::uint64_t)>& takes) const {
  Blocks blocks;
  for (std::uint64_t i = 0; i < job.blocks && blocks.size() < most; ++i) {
    const std::uint64_t block = from == End::first ? i : job.blocks - 1 - i;
    if (!has_bit(asked_, block) && takes(block)) blocks.push_back(block);
  }
  std::ranges::reverse(blocks);
  return blocks;
}

}  // namespace lefting::downloader

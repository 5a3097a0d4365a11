#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "common/role/role.h"
#include "downloader/pipeline.h"
#include "downloader/sources.h"

namespace lefting::downloader {

/// Fetches a large file from a source, and from those peers that are fetching it too, all at once:
/// each asks the source for other blocks, and the peers for the rest. So the source sends the file
/// about once, however many want it.
class Swarm {
 public:
  /// All must outlive it.
  Swarm(RoleContext& context, Worksite& site, Sources& sources);
  ~Swarm();

  /// Whether others may be fetching the job's file too.
  bool is_worth(const Job& job) const;
  /// As Pipeline::fetch() of `source`, and from those peers.
  Status fetch(Job& job, Pipeline& source);

 private:
  using Blocks = Pipeline::Blocks;
  /// A peer that may be fetching the file.
  struct Member {
    int slot = -1;
    DeviceId device;
    net::Connection* connection = nullptr;
    bool is_asked = false;  ///< what it has, and has not answered yet
    /// Bit B: block B, as it said last; empty: it fetches nothing.
    std::vector<std::uint8_t> has = {};
    int failures = 0;  ///< since it gave what it had said to have
  };
  /// What one member is asked for in a round, by a thread of its own.
  struct Errand {
    Member* member;
    Blocks blocks;
    Pipeline pipeline;
    Status status = {};
    std::uint64_t took_ms = 0;
    std::exception_ptr thrown = {};
  };

  Status fetch_all(Job& job, Pipeline& source);
  void gather(const Job& job);
  void ask(const Job& job);
  void hear(const Job& job);
  /// Nothing: it is not fetching that version. Errors: the connection's.
  Result<std::vector<std::uint8_t>> hear_one(const Job& job, Member& member) const;
  /// Up to `most` blocks from each member, while `ours` come from the source. Returns how many came
  /// from members. Errors: the source's connection's.
  Result<std::size_t> fetch_round(Job& job, Pipeline& source, const Blocks& ours, std::size_t most);
  Status fetch_from_source(Pipeline& source, Job& job, const Blocks& blocks);
  std::list<Errand> make_errands(const Job& job, std::size_t most);
  void carry_out(Job& job, Errand& errand);
  /// Takes note of what came, and lets go of a member that is no help. Returns how many blocks.
  std::size_t judge(const Job& job, const Errand& errand);

  bool is_rare(std::uint64_t block) const;  ///< no member has it
  /// Rare ones of our part.
  Blocks our_blocks(const Job& job, std::size_t most) const;
  /// A few of the others' parts, from their end: rare ones, where there are some.
  Blocks their_blocks(const Job& job) const;
  /// What a member has: of its part first.
  Blocks blocks_of(const Job& job, const Member& member, std::size_t most) const;
  /// The parts: block B belongs to the one in place B mod parts, of those that fetch, by device.
  std::uint64_t parts() const;
  std::uint64_t place_of(const DeviceId& device) const;
  /// Missing blocks that are not asked for, and that `take` takes, at most so many.
  Blocks choose(const Job& job, std::size_t most,
                const std::function<bool(std::uint64_t)>& take) const;
  void note_asked(const Blocks& blocks);
  void drop(Member& member, const Error& why);
  void forget_dropped();

  RoleContext& context_;
  Instance& instance_;
  Worksite& site_;
  Sources& sources_;
  std::vector<Member> members_;
  std::vector<std::uint8_t> got_;    ///< blocks that have come
  std::vector<std::uint8_t> asked_;  ///< these, and what is asked for in this round
  std::uint64_t source_rate_ = 0;    ///< bytes a second, of late
  std::mutex turn_;                  ///< whose turn it is with the job, while a round is on
  bool is_source_done_ = false;      ///< guarded by turn_
};

}  // namespace lefting::downloader

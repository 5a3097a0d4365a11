#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "common/role/role.h"
#include "downloader/pipeline.h"
#include "downloader/sources.h"

namespace lefting::downloader {

/// Fetches a large file from a source, and from those peers that are fetching it too, or have it by
/// now, all at once and each at its own pace: each that fetches asks the source for other blocks,
/// and the others for the rest. So the source sends the file about once for up to nine that want
/// it, and for more, once for each nine or so.
///
/// The caller's thread fetches from the source, and one more from each member.
class Swarm {
 public:
  /// All must outlive it.
  Swarm(RoleContext& context, Worksite& site, Sources& sources);

  /// Whether others may be fetching the job's file too.
  bool is_worth(const Job& job) const;
  /// As Pipeline::fetch() of `source`, and from those peers.
  Status fetch(Job& job, Pipeline& source);

 private:
  using Blocks = std::vector<std::uint64_t>;
  /// So many blocks are chosen at once: what the others have is known as it was then.
  static constexpr std::size_t kChosen = 4;
  /// So many blocks of the others' parts at first: they are about to come from them.
  static constexpr std::size_t kFewest = 2;
  /// What is fetched from one peer.
  struct Link {
    Blocks chosen = {};  ///< to be asked for; the next one is the last
    Blocks out = {};     ///< asked for, and not here yet
    std::uint64_t asked = 0;
    std::uint64_t came = 0;
    std::uint64_t begun_ms = 0;  ///< when it was asked for the first of these
    std::uint64_t last_ms = 0;   ///< when one came, or the first of those in `out` was asked for
  };
  /// A peer that may be fetching the file.
  struct Member : Link {
    int slot = -1;
    DeviceId device;
    /// Bit B: block B, as it said last; empty: it fetches nothing, or is no help any more.
    std::vector<std::uint8_t> has = {};
    net::Connection* connection = nullptr;  ///< null: there is none, yet or any more
    bool is_heard = false;                  ///< it has said so, or never will
    bool is_busy = true;                    ///< something may be on its way from it
    bool is_gone = false;                   ///< its thread ends
    bool is_whole = false;                  ///< it has all of it
    int failures = 0;                       ///< since it gave what it had said to have
    std::uint64_t had_ms = 0;               ///< when it last gave or had something new, or began
    std::uint64_t turn_end_ms = 0;          ///< then it is asked anew what it has
    std::jthread thread = {};
  };

  Status fetch_all(Job& job, Pipeline& source);
  bool is_done(const Job& job) const;
  /// Waits for the members' threads; what is still on its way then is cut off.
  void end();

  /// A peer that is asked again after what has come of it, or has not.
  struct Candidate {
    std::uint64_t again_ms = 0;
    unsigned failures = 0;
  };

  /// Begins to fetch from whoever is online, and is no member: as many as have room.
  void gather(Job& job);
  bool is_candidate(const Job& job, const state::PeerView& view) const;
  void begin_member(Job& job, const Peer& peer);
  void serve(Job& job, Member& member);
  /// False: it was no help.
  bool fetch_from(Job& job, Member& member);
  /// By what has come of its turn.
  bool is_help(Member& member) const;
  void take_note(const Job& job, Member& member, std::vector<std::uint8_t> has);
  /// Whether it gives much less than the source.
  bool drips(const Link& link) const;
  /// While the source has nothing to give: those that give little or nothing of what was asked.
  void cut_slow();
  /// Its thread ends with an error.
  static void cut(Member& member);

  // The next block to be asked for.
  std::optional<std::uint64_t> next_of_source(Job& job);
  void choose_for_source(const Job& job);
  /// How many of the others' blocks the source may be asked for: some where they give nothing, or
  /// all together less than half of what it could meanwhile; each time more.
  std::size_t take_grant(const Job& job);
  void begin_idle();
  std::optional<std::uint64_t> next_of(const Job& job, Member& member);
  void reserve(const Link& link);
  static std::optional<std::uint64_t> take(Link& link);
  static void begin(Link& link);
  void note_came(Link& link, std::uint64_t block);
  void note_of_source(std::uint64_t block);
  void note_of_member(Job& job, Member& member, std::uint64_t block);
  /// Bytes a second.
  std::uint64_t rate_of(std::uint64_t blocks, std::uint64_t since_ms) const;
  /// What has not come may be asked for elsewhere.
  void give_back(Link& link);

  /// Whether something may come from members in a moment.
  bool is_giving() const;
  static bool is_fetching(const Member& member) { return !member.has.empty() && !member.is_whole; }
  bool is_rare(std::uint64_t block) const;  ///< nobody that fetches has it
  /// Of our part, rare ones.
  Blocks our_blocks(const Job& job) const;
  /// Of the others' parts, from their end: rare ones, where there are some.
  Blocks their_blocks(const Job& job, std::size_t most) const;
  /// What a member has: of its part first; where it has all, from the end.
  Blocks blocks_of(const Job& job, const Member& member) const;
  /// The parts: block B belongs to the one in place B mod parts, of those that fetch, by device.
  std::uint64_t parts() const;
  std::uint64_t place_of(const DeviceId& device) const;
  enum class End { first, last };
  /// Missing blocks that are not asked for, and that `takes` takes; the one at that end, the next
  /// to be asked for, is the last.
  Blocks choose(const Job& job, End from, std::size_t most,
                const std::function<bool(std::uint64_t)>& takes) const;

  RoleContext& context_;
  Instance& instance_;
  Worksite& site_;
  Sources& sources_;

  std::mutex turn_;  ///< whose turn it is with the job, and with all that follows
  std::condition_variable changed_;
  std::vector<std::uint8_t> asked_;  ///< blocks that have come, are chosen, or asked for
  std::uint64_t missing_ = 0;        ///< blocks that have not come
  std::uint64_t block_bytes_ = 0;
  Link source_;
  std::uint64_t source_rate_ = 0;    ///< bytes a second; 0: not known yet
  std::uint64_t gave_ms_ = 0;        ///< when a member gave something
  std::uint64_t idle_since_ms_ = 0;  ///< the source has nothing to give; 0: it has
  std::uint64_t gained_ = 0;         ///< blocks that came from members since
  // So many of the others' blocks are asked for next.
  std::size_t for_lull_ = kFewest;  ///< where they give nothing
  std::size_t for_slow_ = kFewest;  ///< where they give little
  std::uint64_t gather_at_ms_ = 0;  ///< again
  std::array<Candidate, kMaxPeers> candidates_;
  bool is_over_ = false;
  std::exception_ptr thrown_;
  std::list<Member> members_;  // last: their threads use the others
};

}  // namespace lefting::downloader

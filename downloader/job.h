#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/entry.h"
#include "common/role/role.h"
#include "common/share/partial.h"
#include "common/share/share.h"
#include "common/state/tickets.h"
#include "common/sync/decide.h"
#include "common/sync/index.h"
#include "downloader/content_hasher.h"

namespace lefting::downloader {

/// One ticket on its way through a batch.
struct Job {
  enum class Stage {
    fetch,    ///< content is to be fetched, or is being fetched
    fetched,  ///< all of it is in the partial file, and proved
    record,   ///< the share is as it shall be: `change` is to be recorded
    drop,     ///< there is nothing to do: the ticket ends
    wait,     ///< can't go on: put off, with `reason`
    back,     ///< not begun or interrupted: queued again as it was
    over,     ///< recorded, or dropped
  };

  state::TicketView view;
  std::optional<Record> record;  ///< as it was when the decision was made
  sync::Decision decision;
  Stage stage = Stage::back;
  std::string reason;
  std::uint64_t retry_ms = 0;  ///< 0: by attempts; state::kNoRetry: until a source is online

  std::optional<share::FileStat> expected;  ///< what must stand at the path when it is published
  std::optional<share::PartialFile> partial;
  std::unique_ptr<ContentHasher> hasher;  ///< for files of more than one block
  std::optional<Sha256> hash;             ///< of what was fetched
  std::vector<std::uint8_t> done;
  std::uint64_t blocks = 0;
  std::uint64_t frontier = 0;       ///< blocks before this are all done
  std::uint64_t unsaved_bytes = 0;  ///< fetched since `done` was stored
  bool again = false;  ///< once its stage is over the ticket, if there, is decided anew
  sync::Change change;

  const Entry& wanted() const { return view.ticket.wanted; }
  const std::string& path() const { return view.ticket.wanted.path; }
  std::uint64_t id() const { return view.ticket.id; }
  bool has(std::uint64_t block) const {
    return block / 8 < done.size() && (done[block / 8] >> (block % 8) & 1) != 0;
  }
  void put_off(std::string why, std::uint64_t retry_in_ms = 0) {
    stage = Stage::wait;
    reason = std::move(why);
    retry_ms = retry_in_ms;
  }
};

/// Carries out what a ticket means for the share, but for the fetching.
class Worksite {
 public:
  Worksite(RoleContext& context, const share::Share& share);

  /// Decides what the ticket means by what is here now, and does what needs no fetching.
  void begin(Job& job);
  /// Opens the partial file, and takes up what an earlier attempt left in it.
  void open_partial(Job& job);
  /// Notes that a block has been written: on the ticket, and from time to time in the store.
  /// False: a newer wish has taken the ticket's place.
  bool note_block(Job& job, std::uint64_t block, std::uint64_t bytes);
  /// Stores what has been noted since the last time.
  void save_done(Job& job);
  /// The partial file is useless: takes it away, with what was noted of it, and puts the job off.
  void abandon(Job& job, const std::string& reason);
  /// All blocks are there: proves the content.
  void prove(Job& job);
  /// Gives the synced partial file its name; the loser of a conflict gets its own before.
  void publish(Job& job);

 private:
  void begin_content(Job& job);
  void remove(Job& job);
  void set_metadata(Job& job);
  void adopt(Job& job, const share::FileStat& stat);
  std::vector<Entry> former_wishes(const Job& job) const;
  bool adopt_deletion(Job& job);
  std::vector<Entry> likely_wishes(const Job& job, const share::FileStat& stat) const;
  void give_up(Job& job);
  Result<share::FileStat> keep_loser(const Job& job);
  void forget_partial(Job& job);
  void to_record(Job& job, const std::optional<share::FileStat>& stat);
  void put_off_by(Job& job, const Error& error);

  RoleContext& context_;
  Instance& instance_;
  const share::Share& share_;
};

}  // namespace lefting::downloader

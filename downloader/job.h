#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/entry.h"
#include "common/share/partial.h"
#include "common/share/share.h"
#include "common/state/tickets.h"
#include "common/sync/announcement.h"
#include "common/sync/index.h"
#include "common/sync/plan.h"
#include "downloader/content_writer.h"
#include "downloader/delta.h"

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
  std::optional<Record> record;          ///< as it was when the plan was made
  std::optional<share::FileStat> found;  ///< what stood at the path then
  sync::Plan plan;
  Stage stage = Stage::back;
  Reason reason;
  std::uint64_t retry_ms = 0;  ///< 0: by attempts; state::kNoRetry: until a source is online

  std::optional<share::PartialFile> partial;
  std::optional<ContentHash> hash;  ///< of what was fetched
  std::uint64_t blocks = 0;
  // While there is a writer it alone touches these three, until it has settled:
  std::vector<std::uint8_t> done;
  std::uint64_t frontier = 0;       ///< blocks before this are all done
  std::uint64_t unsaved_bytes = 0;  ///< fetched since `done` was stored
  /// Of blocks of which some pieces have been put, but not all: these, by offset / kMostPiece.
  std::set<std::uint64_t> pieces;
  std::optional<share::FileStat> placed;  ///< what was put in place where nothing stood
  sync::Change change;
  std::optional<sync::Change> kept;  ///< the copy of a conflict's loser
  std::optional<Delta> delta;        ///< it is made of old content
  bool no_delta = false;             ///< it was tried
  bool has_no_hash = false;          ///< its source never says one
  bool is_shared = false;            ///< some came from peers that had not proved it
  bool denied = false;               ///< the source has lost what it offered
  bool ignored = false;              ///< its rules exclude it
  /// For files of more than one block. Last: its threads use the others.
  std::unique_ptr<ContentWriter> writer;

  const Entry& wanted() const { return view.ticket.wanted; }
  const std::string& path() const { return view.ticket.wanted.path; }
  std::uint64_t id() const { return view.ticket.id; }
  bool has(std::uint64_t block) const { return has_bit(done, block); }
  bool is_whole() const { return partial && (delta ? delta->copied : frontier == blocks); }
  /// It was announced before it was hashed: what has come is proved when its source has done that.
  bool awaits_hash() const { return sync::is_announcement(wanted()) && !has_no_hash; }
  bool has_piece(std::uint64_t offset) const { return pieces.contains(offset / kMostPiece); }
  /// The piece at `offset` is being put. True: with it all of its block has been.
  bool add_piece(std::uint64_t offset);
  /// Lets go of the partial file, and of how it was to be made.
  void close() {
    writer.reset();  // before what it uses
    pieces.clear();
    delta.reset();
    partial.reset();
  }
  void put_off(Reason why, std::uint64_t retry_in_ms = 0) {
    stage = Stage::wait;
    reason = std::move(why);
    retry_ms = retry_in_ms;
  }
  void give_back() { stage = Stage::back; }
};

}  // namespace lefting::downloader

#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "common/role/role.h"
#include "common/share/share.h"
#include "common/sync/plan.h"
#include "downloader/job.h"
#include "downloader/losers.h"
#include "downloader/relists.h"
#include "downloader/trash_index.h"

namespace lefting::downloader {

/// Carries out what a ticket means for the share, but for the fetching.
class Worksite {
 public:
  Worksite(RoleContext& context, const share::Share& share, Relists& relists, TrashIndex& trash);

  /// Plans the ticket by what is here now, and does what needs no fetching.
  void begin(Job& job);
  /// begin() of a deletion of the very content that `wanted`, which is to be fetched, brings to
  /// another path: where the file here can be renamed instead, it is.
  void begin_rename(Job& job, Job& wanted);
  /// The ticket is to end with nothing done.
  void drop(Job& job);
  /// Opens the partial file, and takes up what an earlier attempt left in it.
  void open_partial(Job& job);
  /// Where a file with the wanted content is here, or in the trash: takes it from there, and proves
  /// it.
  void take_local(Job& job);
  /// The block of a file that has only one has been written.
  void note_only_block(Job& job);
  /// Something could not be written: nothing that could be resumed is worth a full disk. Or a newer
  /// wish has taken the ticket's place (ECANCELED): the job is given back.
  void give_up(Job& job, const Status& failed);
  /// Where it may be made of what is here, the old version or another file: a source can say how.
  bool wants_delta(const Job& job) const;
  /// Plans it.
  void begin_delta(Job& job, Manifest manifest);
  /// All that the old file lacks has come: takes the rest from it. Where that can't be, the job
  /// stays to be fetched, as a whole.
  void copy_old(Job& job);
  /// The whole is there, made of an old file, and its hash is known: proves it. Where it is not as
  /// expected, as copy_old().
  void end_delta(Job& job);
  /// It can't be fetched before its hash is known.
  void await_hash(Job& job);
  /// What was only announced can't be fetched now, or never came to be: its ticket ends, unless the
  /// source's index has told it meanwhile. If it is to come, that will be told.
  void give_up_announced(Job& job);
  /// Stores what has been noted since the last time.
  void save_done(Job& job);
  /// The partial file is useless: takes it away, with what was noted of it, and puts the job off.
  void abandon(Job& job, Reason reason);
  /// Of the hash that proves it, or will be recorded of it.
  HashKind hash_kind(const Job& job) const;
  /// All blocks are there, and its source has said which hash they must have; or that it has none.
  void learn_hash(Job& job, const std::optional<ContentHash>& hash);
  /// All blocks are there: proves the content.
  void prove(Job& job);
  /// The scanner recorded something of the path meanwhile.
  void plan_anew(Job& job);
  /// The peer in `slot` has lost what it offered: it is no source any more. With the last one the
  /// wish ends, and all peers are asked anew: they may have offered something older meanwhile.
  void forget_source(Job& job, int slot);
  /// Of a large file that has come: stores its sketch.
  void sketch(const Job& job);
  /// Gives the synced partial file its name; the loser of a conflict gets its own before.
  void publish(Job& job);

  const Losers& losers() const { return losers_; }

 private:
  bool look(Job& job);
  void make_plan(Job& job, const sync::Here& here) const;
  Result<ContentHashes> hash_here(const Job& job, const sync::Here& here) const;
  void carry_out(Job& job);
  void restamp(Job& job);
  void remove(Job& job);
  /// A file stands where a folder of the wanted file must be: sets it aside.
  void make_way(Job& job, const Error& why);
  /// The file, which stands as `stat` says, is about to be overwritten or removed. `stat` is then
  /// what it says afterwards.
  Status put_into_trash(const std::string& path, share::FileStat& stat) const;
  /// Errors: it is still there; the ticket must not end before it is gone.
  Status forget_partial(Job& job);
  /// The same of one of which something may have been noted since the ticket was checked out.
  Status forget_content(Job& job);
  Status take_hash(Job& job);
  Status hash_partial(Job& job);
  /// Notes what has been written: on the ticket, and from time to time in the store. By the thread
  /// of the job's writer (ContentWriter::Note). Errors: ECANCELED: the ticket is another by now.
  Result<std::uint64_t> note_block(Job& job, const ContentWriter::Piece& piece);
  /// The same of what an old file lacks, where a block of the ticket came as a whole; of what it
  /// has nothing is noted: after a death that is copied anew.
  Result<std::uint64_t> note_delta(Job& job, const ContentWriter::Piece& piece);
  Status mark_block(Job& job, std::uint64_t block);
  void finish(Job& job);
  /// A file that is here, of which another can be made.
  struct OldFile {
    UniqueFd fd;
    std::string path;
    std::uint64_t size = 0;
    std::optional<ContentHash> hash = {};  ///< where it is recorded
  };

  Result<UniqueFd> open_as_recorded(const Record& record) const;
  static bool has_old_version(const Job& job);
  /// By its hash, which is not known yet, it may prove to be what is here.
  bool may_be_here(const Job& job) const;
  void take_whole(Job& job, UniqueFd old_file, const std::string& from);
  /// What the wanted content can be made of, its old version first.
  std::vector<OldFile> old_files(const Job& job, const std::vector<Basis>& bases) const;
  bool add_recorded(std::vector<OldFile>& files, const Record& record) const;
  std::optional<Delta> plan_delta_of(const OldFile& old,
                                     std::span<const share::Block> new_blocks) const;
  Status copy_runs(Job& job);
  Status copy_run(Job& job, const Delta::Run& run);
  Status read_run(Job& job, const Delta::Run& run);
  /// What was made of files here is not what is wanted: it is fetched as a whole.
  void begin_anew(Job& job, const Error& why);
  void to_record(Job& job, const share::FileStat& stat);
  void put_off_by(Job& job, const Error& error);

  RoleContext& context_;
  Instance& instance_;
  const share::Share& share_;
  Relists& relists_;
  TrashIndex& trash_;
  Losers losers_;
};

}  // namespace lefting::downloader

#pragma once

#include <vector>

#include "common/share/ignore.h"
#include "downloader/pipeline.h"
#include "downloader/sources.h"
#include "downloader/swarm.h"
#include "downloader/worksite.h"

namespace lefting::downloader {

/// Carries out some tickets together: they share connections, one wave of fsyncs and one
/// transaction, so that many small files cost little more than their bytes.
class Batch {
 public:
  /// `ignore` is read again for each batch. All must outlive it.
  Batch(RoleContext& context, const share::Share& share, share::IgnoreFile& ignore,
        Sources& sources, Relists& relists, TrashIndex& trash);

  /// Takes active tickets to their end, or puts them off, or gives them back. Throws StoreError.
  /// Returns the sources that tickets wait for now, as a mask of slots.
  std::uint64_t run(std::vector<state::TicketView> tickets);

 private:
  void begin(Job& job, const Status& rules);
  Job* find_rename(const Job& deletion);
  void leave_out(Job& job);
  void fetch_all();
  void fetch_from(int slot, const std::vector<Job*>& jobs);
  Status fetch_blocks(Pipeline& pipeline, const std::vector<Job*>& jobs);
  /// Asks how new versions can be made of old ones. Errors: the connection's.
  Status begin_deltas(Pipeline& pipeline, const std::vector<Job*>& jobs);
  /// Asks for the hashes of what was announced without. Errors: the connection's.
  Status learn_hashes(Pipeline& pipeline, const std::vector<Job*>& jobs);
  void finish_fetched();
  void sync_contents(const std::vector<Job*>& fetched);
  bool sync_together(const std::vector<Job*>& fetched) const;
  void sync_folders();
  void record_all();
  void look_at_unwatched(const std::vector<sync::Change>& recorded);
  std::uint64_t settle_rest();
  std::vector<Job*> in_stage(Job::Stage stage);
  void pass(state::FaultPoint point);

  RoleContext& context_;
  Instance& instance_;
  const share::Share& share_;
  share::IgnoreFile& ignore_;
  Sources& sources_;
  Worksite site_;
  std::vector<Job> jobs_;
  std::uint64_t watch_rounds_ = 0;  ///< as they were before anything was put in place
  bool has_enough_ = false;         ///< what isn't fetched yet is left to another batch
};

}  // namespace lefting::downloader

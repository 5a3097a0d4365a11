#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/role/role.h"
#include "common/share/share.h"
#include "downloader/batch.h"
#include "downloader/purger.h"
#include "downloader/trash_index.h"

namespace lefting::downloader {

/// The downloader: checks tickets out, earliest first, and hands them to its workers.
class Downloader {
 public:
  Downloader(RoleContext& context, share::Share share);
  ~Downloader();

  /// Works until the context says stop. Throws StoreError.
  void run();

 private:
  void hand_out_until_stopped();
  void work();
  void release(const std::vector<std::string>& paths);
  bool hand_out();
  void wait_for_work();
  void notice_online();
  void tidy_up();
  /// Parks tickets for paths that a worker is still at: two must not write one partial file.
  std::vector<state::TicketView> take_free(std::vector<state::TicketView> tickets);

  RoleContext& context_;
  Instance& instance_;
  share::Share share_;
  Relists relists_;
  TrashIndex trash_;
  Purger purger_;
  std::size_t batch_tickets_;
  EventFd worker_free_;
  /// Peers that have come online and whose waiting tickets were queued then.
  std::atomic<std::uint64_t> online_{0};
  std::uint64_t handed_out_ = 0;  ///< tickets since the last tidying

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::optional<std::vector<state::TicketView>> next_batch_;
  std::set<std::string> busy_paths_;
  std::vector<state::TicketView> parked_;  ///< checked out, for a path that is busy
  std::size_t idle_ = 0;
  bool leave_ = false;
  std::string failure_;  ///< what a worker threw

  std::vector<std::jthread> workers_;  // last: they use the others
};

}  // namespace lefting::downloader

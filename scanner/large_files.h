#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/entry.h"
#include "common/base/os.h"
#include "common/base/result.h"
#include "common/share/cut.h"
#include "common/share/share.h"

namespace lefting::scanner {

/// Hashes a file of the share, which must be as `stat` says before and after it (EBUSY otherwise).
/// `blocks`: it is cut beside that, and they are put there, encoded; null: it is not cut.
/// `beat`: called at least every 1 MiB; false ends the work (ECANCELED).
Result<ContentHashes> hash_as_it_is(const share::Share& share, const std::string& path,
                                    const share::FileStat& stat, HashKinds kinds,
                                    std::string* blocks, const std::function<bool()>& beat);

/// Hashes, cuts and sketches large files on threads of its own, so that nothing else waits for
/// that. Any thread may call.
class LargeFiles {
 public:
  enum class Work {
    sketch,  ///< to know whether there is a content of which the peers can make it
    cut,
    hash,  ///< and what of the other two has not been done yet
  };
  struct Wish {
    std::string path;
    share::FileStat stat;
    Work work = Work::hash;
    HashKinds kinds = HashKinds::both();
    bool cuts = false;         ///< it is to be cut, too; set where a basis is found
    bool announced = false;    ///< the asker has told the peers
    std::uint64_t now_ms = 0;  ///< wall clock when it was asked for
    std::optional<share::Sketch> sketch = {};
    Manifest manifest = {};
  };
  struct Done {
    Wish wish;
    /// Of other work only its error says something.
    Result<ContentHashes> hashes{ContentHashes{}};
  };
  using FindBases = std::function<std::vector<Basis>(const share::Sketch&)>;

  /// `threads`: for files, and for what is cut; one more only sketches, since the peers wait for
  /// it. `find_bases`: called by its threads. `is_ending`: asked by them whether to give up. All
  /// must outlive it.
  LargeFiles(const share::Share& share, std::size_t threads, FindBases find_bases,
             std::function<bool()> is_ending);
  ~LargeFiles();

  /// Of a path that is not asked for; where it is by now, nothing comes of it: look again when that
  /// is done.
  void ask(Wish wish);
  /// For when there is nothing else to do, in the place of what was asked for so before.
  void ask_later(std::deque<Wish> wishes);
  /// It is asked for, or waits to be taken.
  bool is_pending(const std::string& path) const;
  /// What has come of it; it is forgotten then. Nothing where nothing has.
  std::optional<Done> take(const std::string& path);

  /// Readable when there may be something in take_done().
  int fd() const { return ready_.fd(); }
  /// Paths of which something has come since the last call; it may have been taken already. Throws
  /// what a thread has met, which has ended then.
  std::vector<std::string> take_done();
  /// Forgets what was in take_done() and has not been taken; what has come since stays.
  void drop_told();
  /// Nothing is asked for, and nothing done but not in take_done() yet.
  bool is_idle() const;

 private:
  enum class Does { all, sketches };
  void work(Does does);
  bool has_work(Does does) const;
  void work_until_stopped(Does does);
  void carry_out(Done& done);
  Status sketch(Wish& wish) const;
  Status cut(Wish& wish) const;
  Wish take_next();
  bool goes_on() const;

  const share::Share& share_;
  std::size_t cutters_;
  FindBases find_bases_;
  std::function<bool()> is_ending_;
  EventFd ready_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  bool stop_ = false;
  std::deque<Wish> wishes_;
  std::deque<Wish> later_;
  std::set<std::string> asked_;  ///< what is in wishes_ or being worked on
  std::map<std::string, Done> done_;
  std::set<std::string> news_;  ///< for take_done()
  std::exception_ptr thrown_;

  std::vector<std::jthread> threads_;  // last: they use the others
};

}  // namespace lefting::scanner

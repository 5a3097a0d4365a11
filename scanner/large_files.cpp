#include "scanner/large_files.h"

#include <utility>

#include "common/share/cut.h"
#include "common/share/hash.h"
#include "common/share/partial.h"

namespace lefting::scanner {

namespace {

/// Opens a file for `work`; before and after that it must be as `stat` says.
Status read_as_it_is(const share::Share& share, const std::string& path,
                     const share::FileStat& stat, const std::function<Status(int fd)>& work) {
  auto fd = share.open_file(path);
  if (!fd) return fd.error();
  const auto before = share::stat_fd(fd.value().get());
  const Status worked = work(fd.value().get());
  const auto after = share::stat_fd(fd.value().get());
  const auto named = [&](const Error& error) {
    return Error{error.code, error.operation, path, error.advice};
  };
  if (!worked) return named(worked.error());
  if (!before) return named(before.error());
  if (!after) return named(after.error());
  const bool is_same = before.value() == stat && after.value() == stat;
  return is_same ? Status{} : os_error(share::kChangedMeanwhile, "hash", path);
}

}  // namespace

Result<ContentHashes> hash_as_it_is(const share::Share& share, const std::string& path,
                                    const share::FileStat& stat, HashKinds kinds,
                                    std::string* blocks, const std::function<bool()>& beat) {
  Result<ContentHashes> hashes{ContentHashes{}};
  Result<std::vector<share::Block>> cut{std::vector<share::Block>{}};
  const Status read = read_as_it_is(share, path, stat, [&](int fd) -> Status {
    std::jthread cutter;
    if (blocks != nullptr) {
      cutter = std::jthread{[&] { cut = share::cut_file(fd, stat.size, 1, beat); }};
    }
    hashes = share::hash_file(fd, kinds, beat);
    return hashes ? Status{} : hashes.error();
  });
  if (!read) return read.error();
  if (blocks != nullptr && cut) *blocks = share::encode_blocks(cut.value());
  return hashes;
}

LargeFiles::LargeFiles(const share::Share& share, std::size_t threads, FindBases find_bases,
                       std::function<bool()> is_ending)
    : share_{share},
      cutters_{threads},
      find_bases_{std::move(find_bases)},
      is_ending_{std::move(is_ending)} {
  threads_.emplace_back([this] { work(Does::sketches); });
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(Does::all); });
}

LargeFiles::~LargeFiles() {
  {
    const std::lock_guard lock{mutex_};
    stop_ = true;
  }
  changed_.notify_all();
}

void LargeFiles::ask(Wish wish) {
  const std::lock_guard lock{mutex_};
  if (!asked_.insert(wish.path).second) return;
  std::erase_if(later_, [&](const Wish& other) { return other.path == wish.path; });
  if (wish.work == Work::sketch) {
    wishes_.push_front(std::move(wish));
  } else {
    wishes_.push_back(std::move(wish));
  }
  changed_.notify_all();
}

void LargeFiles::ask_later(std::deque<Wish> wishes) {
  const std::lock_guard lock{mutex_};
  later_ = std::move(wishes);
  std::erase_if(later_, [this](const Wish& wish) {
    return asked_.contains(wish.path) || done_.contains(wish.path);
  });
  changed_.notify_all();
}

bool LargeFiles::is_pending(const std::string& path) const {
  const std::lock_guard lock{mutex_};
  return asked_.contains(path) || done_.contains(path);
}

std::optional<LargeFiles::Done> LargeFiles::take(const std::string& path) {
  const std::lock_guard lock{mutex_};
  auto node = done_.extract(path);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

std::vector<std::string> LargeFiles::take_done() {
  ready_.drain();
  const std::lock_guard lock{mutex_};
  if (thrown_) std::rethrow_exception(thrown_);
  const auto news = std::exchange(news_, {});
  return {news.begin(), news.end()};
}

void LargeFiles::drop_told() {
  const std::lock_guard lock{mutex_};
  std::erase_if(done_, [this](const auto& one) { return !news_.contains(one.first); });
}

bool LargeFiles::is_idle() const {
  const std::lock_guard lock{mutex_};
  return asked_.empty() && news_.empty();
}

bool LargeFiles::goes_on() const {
  const std::lock_guard lock{mutex_};
  return !stop_ && !is_ending_();
}

Status LargeFiles::sketch(Wish& wish) const {
  share::Sketch sketch;
  const Status read = read_as_it_is(share_, wish.path, wish.stat, [&](int fd) -> Status {
    auto made = share::sketch_file(fd, wish.stat.size, [this] { return goes_on(); });
    if (!made) return made.error();
    sketch = made.take();
    return {};
  });
  if (!read) return read;
  wish.manifest.bases = find_bases_(sketch);
  wish.cuts |= !wish.manifest.bases.empty();
  wish.sketch = std::move(sketch);
  return {};
}

/// With all `cutters_` threads.
Status LargeFiles::cut(Wish& wish) const {
  std::string blocks;
  const Status read = read_as_it_is(share_, wish.path, wish.stat, [&](int fd) -> Status {
    const auto cut = share::cut_file(fd, wish.stat.size, cutters_, [this] { return goes_on(); });
    if (!cut) return cut.error();
    blocks = share::encode_blocks(cut.value());
    return {};
  });
  if (read) wish.manifest.blocks = std::move(blocks);
  return read;
}

void LargeFiles::carry_out(Done& done) {
  Wish& wish = done.wish;
  const auto note = [&](const Status& status) {
    if (!status) done.hashes = status.error();
  };
  if (wish.work == Work::cut) return note(cut(wish));
  if (!wish.sketch) note(sketch(wish));
  if (wish.work == Work::sketch || !done.hashes) return;
  const bool cuts = wish.cuts && wish.manifest.blocks.empty();
  done.hashes = hash_as_it_is(share_, wish.path, wish.stat, wish.kinds,
                              cuts ? &wish.manifest.blocks : nullptr, [this] { return goes_on(); });
}

LargeFiles::Wish LargeFiles::take_next() {
  auto& from = wishes_.empty() ? later_ : wishes_;
  Wish wish = std::move(from.front());
  from.pop_front();
  asked_.insert(wish.path);
  return wish;
}

bool LargeFiles::has_work(Does does) const {
  if (does == Does::all) return !wishes_.empty() || !later_.empty();
  return !wishes_.empty() && wishes_.front().work == Work::sketch;
}

void LargeFiles::work(Does does) {
  try {
    work_until_stopped(does);
  } catch (...) {
    const std::lock_guard lock{mutex_};
    thrown_ = std::current_exception();
    ready_.signal();
  }
}

void LargeFiles::work_until_stopped(Does does) {
  std::unique_lock lock{mutex_};
  for (;;) {
    changed_.wait(lock, [&] { return stop_ || has_work(does); });
    if (stop_) return;
    Done done{.wish = take_next()};
    lock.unlock();
    carry_out(done);
    lock.lock();
    const std::string path = done.wish.path;
    asked_.erase(path);
    done_.insert_or_assign(path, std::move(done));
    news_.insert(path);
    ready_.signal();
  }
}

}  // namespace lefting::scanner

#include "scanner/large_files.h"

#include <utility>

#include "common/share/cut.h"
#include "common/share/hash.h"
#include "common/share/partial.h"

namespace lefting::scanner {

Result<Sha256> hash_as_it_is(const share::Share& share, const std::string& path,
                             const share::FileStat& stat, std::string* blocks,
                             const std::function<bool()>& beat) {
  auto fd = share.open_file(path);
  if (!fd) return fd.error();
  auto before = share::stat_fd(fd.value().get());
  Result<std::vector<share::Block>> cut{std::vector<share::Block>{}};
  std::jthread cutter;
  if (blocks != nullptr) {
    cutter = std::jthread{[&] { cut = share::cut_file(fd.value().get(), stat.size, 1, beat); }};
  }
  auto hash = share::hash_file(fd.value().get(), beat);
  if (cutter.joinable()) cutter.join();
  auto after = share::stat_fd(fd.value().get());
  const auto named = [&](const Error& error) {
    return Error{error.code, error.operation, path, error.advice};
  };
  if (!hash) return named(hash.error());
  if (!before) return named(before.error());
  if (!after) return named(after.error());
  if (!(before.value() == stat) || !(after.value() == stat)) {
    return os_error(share::kChangedMeanwhile, "hash", path);
  }
  if (blocks != nullptr && cut) *blocks = share::encode_blocks(cut.value());
  return hash;
}

LargeFiles::LargeFiles(const share::Share& share, std::size_t threads,
                       std::function<bool()> is_ending)
    : share_{share}, is_ending_{std::move(is_ending)} {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
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
  asked_.insert(wish.path);
  wishes_.push_back(std::move(wish));
  changed_.notify_one();
}

bool LargeFiles::is_asked(const std::string& path) const {
  const std::lock_guard lock{mutex_};
  return asked_.contains(path);
}

std::optional<LargeFiles::Hashed> LargeFiles::take(const std::string& path) {
  const std::lock_guard lock{mutex_};
  auto node = hashed_.extract(path);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

std::vector<std::string> LargeFiles::take_done() {
  done_.drain();
  const std::lock_guard lock{mutex_};
  return std::exchange(news_, {});
}

bool LargeFiles::is_idle() const {
  const std::lock_guard lock{mutex_};
  return asked_.empty() && news_.empty();
}

void LargeFiles::work() {
  std::unique_lock lock{mutex_};
  for (;;) {
    changed_.wait(lock, [&] { return stop_ || !wishes_.empty(); });
    if (stop_) return;
    Hashed hashed{.wish = std::move(wishes_.front()), .blocks = {}};
    wishes_.pop_front();
    lock.unlock();
    const Wish& wish = hashed.wish;
    const auto goes_on = [this] {
      const std::lock_guard beat{mutex_};
      return !stop_ && !is_ending_();
    };
    hashed.hash =
        hash_as_it_is(share_, wish.path, wish.stat, wish.cuts ? &hashed.blocks : nullptr, goes_on);
    lock.lock();
    const std::string path = wish.path;
    asked_.erase(path);
    hashed_.insert_or_assign(path, std::move(hashed));
    news_.push_back(path);
    done_.signal();
  }
}

}  // namespace lefting::scanner

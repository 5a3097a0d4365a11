#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/base/clock.h"

namespace lefting::scanner {

/// Paths that are to be looked at again: after a second, then after twice as long each time.
class Retries {
 public:
  /// Again after kFirst, if it is not here yet.
  void add(const std::string& path, Deadline now) { paths_.try_emplace(path, Retry{now + kFirst}); }
  /// It was looked at in vain. At most `longest` till the next time. True: it was not here.
  bool put_off(const std::string& path, Deadline now, milliseconds longest) {
    const auto [at, is_new] = paths_.try_emplace(path);
    Retry& retry = at->second;
    retry.looked = now;
    retry.due = now + std::min(longest, kFirst * (1 << std::min(retry.looks, 10u)));
    ++retry.looks;
    return is_new;
  }
  void erase(const std::string& path) { paths_.erase(path); }
  /// Those that `chosen` says, with which there was no trouble since.
  void erase_quiet(Deadline since, const std::function<bool(const std::string& path)>& chosen) {
    std::erase_if(paths_,
                  [&](const auto& one) { return one.second.looked < since && chosen(one.first); });
  }
  void clear() { paths_.clear(); }
  bool empty() const { return paths_.empty(); }
  bool contains(const std::string& path) const { return paths_.contains(path); }

  Deadline due() const {
    Deadline first = Deadline::max();
    for (const auto& [path, retry] : paths_) first = std::min(first, retry.due);
    return first;
  }
  /// They stay here.
  std::vector<std::string> ripe(Deadline now) const {
    std::vector<std::string> out;
    for (const auto& [path, retry] : paths_) {
      if (retry.due <= now) out.push_back(path);
    }
    return out;
  }

 private:
  static constexpr milliseconds kFirst{1000};
  struct Retry {
    Deadline due{};
    Deadline looked{};
    unsigned looks = 0;
  };
  std::map<std::string, Retry> paths_;
};

}  // namespace lefting::scanner

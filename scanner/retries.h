#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"

namespace lefting::scanner {

/// Paths that are to be looked at again: after a second, then after twice as long each time.
class Retries {
 public:
  Retries() = default;
  Retries(const Retries&) = delete;  // one index looks into the other
  Retries& operator=(const Retries&) = delete;
  /// Again after kFirst, if it is not here yet.
  void add(const std::string& path, Deadline now) {
    const auto [at, is_new] = paths_.try_emplace(path);
    if (is_new) plan(at, now + kFirst);
  }
  /// It was looked at in vain. At most `longest` till the next time. True: it was not here.
  bool put_off(const std::string& path, Deadline now, milliseconds longest) {
    const auto [at, is_new] = paths_.try_emplace(path);
    Retry& retry = at->second;
    retry.looked = now;
    plan(at, now + std::min(longest, kFirst * (1 << std::min(retry.looks, 10u))));
    ++retry.looks;
    return is_new;
  }
  /// It was looked at too early, and nothing was wrong with it: after kFirst, as if it was new.
  void begin_anew(const std::string& path, Deadline now) {
    erase(path);
    add(path, now);
  }
  void erase(const std::string& path) {
    if (const auto at = paths_.find(path); at != paths_.end()) drop(at);
  }
  /// Those that `chosen` says, with which there was no trouble since.
  void erase_quiet(Deadline since, const std::function<bool(const std::string& path)>& chosen) {
    for (auto at = paths_.begin(); at != paths_.end();) {
      const auto here = at++;
      if (here->second.looked < since && chosen(here->first)) drop(here);
    }
  }
  void clear() {
    by_due_.clear();
    paths_.clear();
  }
  bool empty() const { return paths_.empty(); }
  bool contains(const std::string& path) const { return paths_.contains(path); }

  Deadline due() const { return by_due_.empty() ? Deadline::max() : by_due_.begin()->first; }
  /// They stay here.
  std::vector<std::string> ripe(Deadline now) const {
    std::vector<std::string> out;
    for (const auto& [due, path] : by_due_) {
      if (due > now) break;
      out.emplace_back(path);
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
  using Paths = std::map<std::string, Retry>;

  void plan(Paths::iterator at, Deadline due) {
    by_due_.erase({at->second.due, at->first});
    at->second.due = due;
    by_due_.emplace(due, at->first);
  }
  void drop(Paths::iterator at) {
    by_due_.erase({at->second.due, at->first});
    paths_.erase(at);
  }

  Paths paths_;
  std::set<std::pair<Deadline, std::string_view>> by_due_;  // of the same paths
};

}  // namespace lefting::scanner

#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "tests/model/disk.h"

namespace lefting::model {

/// What the users did, and so what may be lost and what may not come back.
class Ledger {
 public:
  void wrote(const std::string& path, Content content) {
    // What gets a name back that it had before may be what a peer's wish was to put there: where
    // that wish has an older version, it is overwritten as such (and is in the trash).
    if (++puts_[{path, content}] > 1) {
      uncertain_.insert({path, content});
      ended_.insert(content);
    }
    removed_.erase({path, content});
    written_.insert(content);
  }
  /// The user saw it there, and removed it or put something else in its place.
  void ended(const std::string& path, Content content) {
    if (content <= 0) return;
    ended_.insert(content);
    removed_.insert({path, content});
  }
  /// The disk that has it goes back to what it was before.
  void excuse(Content content) { ended_.insert(content); }
  /// It left this name, and has another.
  void left(const std::string& path, Content content) { removed_.insert({path, content}); }
  /// As an edit: it may win against a removal elsewhere.
  void touched(const std::string& path, Content content) { uncertain_.insert({path, content}); }

  /// The contents that must be somewhere.
  std::set<Content> owed() const {
    std::set<Content> out;
    for (const Content content : written_) {
      if (!ended_.contains(content)) out.insert(content);
    }
    return out;
  }
  bool was_written(Content content) const { return written_.contains(content); }
  /// Somebody removed it from that name, and nobody put it there again.
  bool must_not_be(const std::string& path, Content content) const {
    return removed_.contains({path, content}) && !uncertain_.contains({path, content});
  }

 private:
  using Place = std::pair<std::string, Content>;
  std::set<Content> written_;
  std::set<Content> ended_;
  std::set<Place> removed_;
  std::set<Place> uncertain_;
  std::map<Place, int> puts_;
};

}  // namespace lefting::model

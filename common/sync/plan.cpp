#include "common/sync/plan.h"

#include <algorithm>
#include <utility>

#include "common/sync/decide.h"
#include "common/sync/wish.h"

namespace lefting::sync {

namespace {

Plan wait(Reason reason) { return {.step = Step::wait, .result = {}, .reason = std::move(reason)}; }
Plan wait_for_scanner() { return wait(changed_here()); }
Plan wait_for_access() { return wait({Cause::failed, "it can't be looked at"}); }

class Planner {
 public:
  Planner(const Entry& wanted, const std::function<std::vector<Entry>()>& former, const Here& here,
          ShortId self, std::uint64_t now_ms)
      : wanted_{wanted}, former_{former}, here_{here}, self_{self}, now_ms_{now_ms} {}

  Plan plan() {
    Decision decision = decide_about(wanted_);
    const bool is_news =
        decision.verdict != Verdict::same && decision.verdict != Verdict::ours_newer;
    if (is_news && (may_be_as_recorded() || may_be_as_wanted())) {
      if (!here_.hashes) return ask_for_hash();
      if (here_.hashes->has(here_.record->entry.hash)) here_.standing = Standing::recorded;
    }
    if (is_news && may_be_as_wanted() && here_.hashes->has(wanted_.hash)) {
      return plan_merge(std::move(decision.result));
    }
    switch (decision.verdict) {
      case Verdict::same:
      case Verdict::ours_newer:
        return {};
      case Verdict::merge:
        return plan_merge(std::move(decision.result));
      case Verdict::take:
      case Verdict::lose:
        break;
    }
    return decision.result.deleted ? plan_deletion(std::move(decision))
                                   : plan_content(std::move(decision));
  }

 private:
  Decision decide_about(const Entry& theirs) const {
    return decide(here_.record == nullptr ? nullptr : &here_.record->entry, theirs, self_, now_ms_);
  }

  /// It differs in inode or ctime only: a second name is enough for that, as one is given before a
  /// file is overwritten, and nobody tells the scanner of it.
  bool may_be_as_recorded() const {
    if (here_.standing != Standing::other || here_.record == nullptr) return false;
    const Entry& ours = here_.record->entry;
    return !ours.deleted && ours.hash && ours.size == here_.size &&
           ours.mtime_ns == here_.mtime_ns && ours.mode == here_.mode;
  }

  /// What is recorded has a hash of another kind, so that it may be the same content.
  bool may_be_as_wanted() const {
    if (here_.standing != Standing::recorded || wanted_.deleted || !wanted_.hash) return false;
    const Entry& ours = here_.record->entry;
    return ours.hash && ours.hash->kind != wanted_.hash->kind && ours.size == wanted_.size;
  }

  Plan ask_for_hash() const {
    Plan plan{.step = Step::hash, .result = {}, .reason = {}};
    if (here_.record != nullptr) plan.kinds.add(here_.record->entry.hash);
    plan.kinds.add(wanted_.hash);
    for (const Entry& wish : likely_wishes()) plan.kinds.add(wish.hash);
    return plan;
  }

  Plan plan_merge(Entry result) const {
    if (here_.standing == Standing::other) return plan_unrecorded(std::move(result));
    if (result.deleted) return {.step = Step::record, .result = std::move(result), .reason = {}};
    if (here_.standing != Standing::recorded) return wait_for_scanner();
    return {.step = Step::restamp, .result = std::move(result), .reason = {}};
  }

  Plan plan_deletion(Decision decision) const {
    if (here_.standing == Standing::unknown) return wait_for_access();
    if (here_.standing == Standing::other) return plan_unrecorded(std::move(decision.result));
    const bool kept = decision.verdict == Verdict::lose;
    const Step step = here_.standing != Standing::recorded ? Step::record
                      : kept                               ? Step::set_aside
                                                           : Step::remove;
    return {.step = step, .result = std::move(decision.result), .reason = {}};
  }

  Plan plan_content(Decision decision) const {
    if (here_.standing == Standing::unknown) return wait_for_access();
    if (here_.standing == Standing::special) {
      return wait({Cause::in_the_way, "a symlink or special file of that name is in the way"});
    }
    if (here_.standing == Standing::other) return plan_unrecorded(std::move(decision.result));
    if (here_.standing == Standing::nothing) {
      if (auto done = plan_unrecorded_deletion()) return std::move(*done);
    }
    // Where a recorded file is gone, what is newer than it may come: an edit outlives a deletion.
    const bool keeps = decision.verdict == Verdict::lose && here_.standing == Standing::recorded;
    return {
        .step = Step::fetch, .result = std::move(decision.result), .keeps = keeps, .reason = {}};
  }

  /// A file that nobody has recorded: what is wanted, perhaps, or was wanted by an earlier ticket:
  /// from before a death or copied here by hand. Then it needn't be fetched, and is nobody's edit.
  Plan plan_unrecorded(Entry result) const {
    const std::vector<Entry> wishes = likely_wishes();
    if (wishes.empty()) return wait_for_scanner();
    if (!here_.hashes) return ask_for_hash();
    const auto wish = std::ranges::find_if(
        wishes, [&](const Entry& entry) { return here_.hashes->has(entry.hash); });
    if (wish == wishes.end()) return wait_for_scanner();
    if (*wish == wanted_) return restamped(*wish, std::move(result), false);
    Decision decision = decide_about(*wish);
    const bool placed = decision.verdict == Verdict::take || decision.verdict == Verdict::lose;
    return placed ? restamped(*wish, std::move(decision.result), true) : wait_for_scanner();
  }

  static Plan restamped(const Entry& wish, Entry result, bool again) {
    result.hash = wish.hash;
    return {.step = Step::restamp, .result = std::move(result), .again = again, .reason = {}};
  }

  /// What the path's tickets wanted that could be this file, newest first.
  std::vector<Entry> likely_wishes() const {
    std::vector<Entry> wishes = former_();
    wishes.push_back(wanted_);
    std::erase_if(wishes, [&](const Entry& wish) {
      return wish.deleted || !wish.hash || wish.size != here_.size ||
             wish.mtime_ns != here_.mtime_ns;
    });
    std::ranges::reverse(wishes);
    return wishes;
  }

  /// A recorded file is gone: an earlier ticket's work, perhaps, from before a death. Then that is
  /// recorded first, and is nobody's deletion.
  std::optional<Plan> plan_unrecorded_deletion() const {
    if (here_.record == nullptr || here_.record->entry.deleted) return std::nullopt;
    for (const Entry& wish : former_()) {
      if (!wish.deleted) continue;
      Decision decision = decide_about(wish);
      if (decision.verdict != Verdict::take) continue;
      return Plan{
          .step = Step::record, .result = std::move(decision.result), .again = true, .reason = {}};
    }
    return std::nullopt;
  }

  const Entry& wanted_;
  const std::function<std::vector<Entry>()>& former_;
  Here here_;
  ShortId self_;
  std::uint64_t now_ms_;
};

}  // namespace

void Here::set_file(const share::FileStat& stat) {
  size = stat.size;
  mtime_ns = stat.mtime_ns;
  mode = stat.mode;
}

Plan plan_ticket(const Entry& wanted, const std::function<std::vector<Entry>()>& former,
                 const Here& here, ShortId self, std::uint64_t now_ms) {
  return Planner{wanted, former, here, self, now_ms}.plan();
}

HashKinds kinds_of_placed(const Ticket& ticket, const Here& here, ShortId self,
                          std::uint64_t now_ms) {
  const auto former = [&ticket] { return earlier_wishes(ticket); };
  return plan_ticket(ticket.wanted, former, here, self, now_ms).kinds;
}

bool is_placed(const Ticket& ticket, const Here& here, ShortId self, std::uint64_t now_ms) {
  const auto former = [&ticket] { return earlier_wishes(ticket); };
  return plan_ticket(ticket.wanted, former, here, self, now_ms).step == Step::restamp;
}

bool is_overtaken(const Entry& wanted, const Record& now, ShortId self, std::uint64_t now_ms) {
  return decide(&now.entry, wanted, self, now_ms).verdict == Verdict::ours_newer;
}

Plan plan_way(const Here& in_the_way, bool has_ticket, const Finder& finder) {
  if (has_ticket)
    return wait(
        {Cause::in_the_way, "a file stands where its folder must be, and has a ticket too"});
  if (in_the_way.standing != Standing::recorded) return wait_for_scanner();
  return {.step = Step::set_aside,
          .result = found_missing(in_the_way.record, finder)->entry,
          .again = true,
          .reason = {}};
}

}  // namespace lefting::sync

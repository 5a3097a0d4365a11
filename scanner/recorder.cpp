#include "scanner/recorder.h"

#include <algorithm>
#include <map>

#include "common/base/log.h"
#include "common/share/marker.h"
#include "common/sync/copy.h"

namespace lefting::scanner {

namespace {

bool is_deletion(const Finding& finding) {
  return finding.change && finding.change->record.entry.deleted;
}

}  // namespace

bool is_claimed(Instance& instance, const std::string& path) {
  const auto is_at_work = [&](const std::string& at) {
    const auto ticket = instance.tickets.find(at);
    return ticket && ticket->state != state::TicketState::waiting;
  };
  if (is_at_work(path)) return true;
  const auto copy = sync::parse_conflict_path(path);
  return copy && is_at_work(copy->original);
}

Recorder::Recorder(Instance& instance, const share::Share& share)
    : instance_{instance}, share_{share}, index_{index_text(instance.store.index_id())} {}

Status Recorder::check_share() const {
  if (auto good = share_.check(); !good) return good;
  return share::check_marker(share_, index_);
}

std::vector<std::size_t> Recorder::choose(std::vector<Finding>& findings,
                                          Deletions deletions) const {
  std::map<std::string, std::size_t> gone;
  for (std::size_t i = 0; i < findings.size(); ++i) {
    if (is_deletion(findings[i])) gone[findings[i].change->record.entry.path] = i;
  }
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < findings.size(); ++i) {
    if (!findings[i].change || is_deletion(findings[i])) continue;
    if (const auto other = look_once_more(findings[i])) {
      findings[i] = {*other, {}, {}};
      continue;
    }
    chosen.push_back(i);
    const auto origin = gone.find(findings[i].moved_from);
    if (origin == gone.end()) continue;
    chosen.push_back(origin->second);
    gone.erase(origin);
  }
  for (const auto& [path, i] : gone) {
    if (deletions == Deletions::report) {
      findings[i] = {Outcome::gone, {}, {}};
    } else {
      chosen.push_back(i);
    }
  }
  const auto deletes = [&](std::size_t i) { return is_deletion(findings[i]); };
  const Status good = std::ranges::any_of(chosen, deletes) ? check_share() : Status{};
  if (!good) log_error("{}", good.error().text());
  std::erase_if(chosen, [&](std::size_t i) {
    if (!deletes(i)) return false;
    const auto other = good ? look_once_more(findings[i]) : std::optional{Outcome::restless};
    if (other) findings[i] = {*other, {}, {}};
    return other.has_value();
  });
  return chosen;
}

std::vector<Outcome> Recorder::record(std::vector<Finding> findings, Deletions deletions) {
  const std::vector<std::size_t> chosen = choose(findings, deletions);
  std::vector<sync::Change> changes;
  for (const std::size_t i : chosen) {
    Finding& finding = findings[i];
    note_content(finding);  // before it is told, so that who asks finds it
    changes.push_back(std::move(*finding.change));
  }
  if (!changes.empty()) {
    const std::vector<bool> written = instance_.index.commit(changes);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      if (!written[i]) findings[chosen[i]].outcome = Outcome::restless;
    }
  }
  std::vector<Outcome> outcomes;
  outcomes.reserve(findings.size());
  for (const Finding& finding : findings) outcomes.push_back(finding.outcome);
  return outcomes;
}

void Recorder::note_content(const Finding& finding) const {
  const Entry& entry = finding.change->record.entry;
  // A copy, or what was only touched, has no use for blocks.
  const bool is_known = std::ranges::find(finding.manifest.bases, entry.hash, &Basis::hash) !=
                        finding.manifest.bases.end();
  if (!finding.manifest.blocks.empty() && !is_known) {
    instance_.store.put_manifest(*entry.hash, share::kCutRule, finding.manifest);
  }
  if (finding.sketch) {
    instance_.store.put_sketch({*entry.hash, entry.size, entry.mtime_ns}, *finding.sketch);
  }
}

std::optional<Outcome> Recorder::look_once_more(const Finding& finding) const {
  const std::string& path = finding.change->record.entry.path;
  if (is_claimed(instance_, path)) return Outcome::claimed;
  const auto now = share_.stat(path);
  if (!now) return Outcome::restless;
  const bool is_file = now.value() && now.value()->type == share::FileType::file;
  const bool is_same = finding.seen ? is_file && *now.value() == *finding.seen : !is_file;
  return is_same ? std::nullopt : std::optional{Outcome::restless};
}

}  // namespace lefting::scanner

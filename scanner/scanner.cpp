#include "scanner/scanner.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/log.h"

namespace lefting::scanner {

namespace {

/// So many changed files share one transaction and one round of hashing.
constexpr std::size_t kSuspects = 512;
constexpr milliseconds kLongestSettle{30000};
/// What the downloader does makes events too, several a file: not to wake up for each.
constexpr milliseconds kGather{10};
/// The heartbeat must come every 10 s.
constexpr milliseconds kLongestWait{8000};

/// At first after kSettle, and each time after twice as long, up to this. Nothing: not by time.
std::optional<milliseconds> look_again_within(Outcome outcome) {
  switch (outcome) {
    case Outcome::restless:
      return kLongestSettle;
    case Outcome::unreadable:
      return kLongestUnread;
    default:
      return std::nullopt;
  }
}

}  // namespace

Scanner::Scanner(RoleContext& context, share::Share share)
    : context_{context},
      instance_{context.instance()},
      share_{std::move(share)},
      ignore_{share_},
      words_{state::scan_words(instance_.segment)},
      examiner_{context, share_, ignore_.rules(),
                [this](const Entry& entry) { news_.announce(entry); }},
      recorder_{instance_, share_},
      news_{context},
      brake_{instance_.settings.brake} {}

void Scanner::run() {
  context_.ready();
  while (!context_.stopping()) {
    context_.beat();
    news_.look_at_peers();
    const bool asked = words_.wanted.load() > words_.answered.load();
    if (traverse_soon_ || asked || std::chrono::steady_clock::now() >= next_traversal_) {
      traverse_all();
    }
    look_again_at_the_restless();
    examine_suspects();
    record_deletions(false);
    forget_ignored();
    end_adoption_if_due();
    wait();
  }
}

void Scanner::wait() {
  Deadline until = std::min(next_traversal_, deadline_in(kLongestWait));
  until = std::min({until, restless_.due(), unread_.due(), brake_.due()});
  const bool gathers = std::chrono::steady_clock::now() < next_events_;
  if (gathers) until = std::min(until, next_events_);
  std::array<pollfd, 4> fds = {
      pollfd{.fd = context_.stop_fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = instance_.wakes.scanner.fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = gathers ? -1 : watcher_.fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = examiner_.large_files().fd(), .events = POLLIN, .revents = 0}};
  poll_fds(fds, poll_timeout(until));
  if (fds[1].revents != 0) {
    instance_.wakes.scanner.drain();
    news_.tell();
  }
  if (fds[2].revents != 0) take_events();
  if (fds[3].revents != 0) take_hashed();
}

void Scanner::take_hashed() {
  for (std::string& path : examiner_.large_files().take_done()) suspect(std::move(path));
  examine_suspects();
  // What is gone by now, or the downloader's, has no use for its hash.
  examiner_.large_files().drop_told();
}

/// Who has asked for a traversal wants to see what it found.
void Scanner::await_large_files() {
  std::array<pollfd, 2> fds = {
      pollfd{.fd = context_.stop_fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = examiner_.large_files().fd(), .events = POLLIN, .revents = 0}};
  examiner_.large_files().ask_later({});  // nobody waits for that; the traversal's end asks again
  while (!examiner_.large_files().is_idle() && !context_.stopping()) {
    context_.beat();
    poll_fds(fds, static_cast<int>(kLongestWait.count()));
    take_hashed();
  }
}

void Scanner::take_events() {
  saw_only_ours_ = true;
  for (const Event& event : watcher_.read()) take_event(event);
  examine_suspects();
  moves_.clear();
  if (saw_only_ours_) next_events_ = deadline_in(kGather);
}

void Scanner::take_event(const Event& event) {
  if (event.path == share::kIgnoreName) {
    next_traversal_ = std::min(next_traversal_, deadline_in(kSettle));
  }
  if (!event.moved_from.empty()) moves_.add(event.moved_from, event.path);
  saw_only_ours_ &= event.kind == Event::Kind::file;
  switch (event.kind) {
    case Event::Kind::file:
      restless_.erase(event.path);
      return suspect(event.path);
    case Event::Kind::new_file:
      return restless_.add(event.path, std::chrono::steady_clock::now());
    case Event::Kind::folder:
      return traverse_below(event.path);
    case Event::Kind::folder_changed:
      if (unread_.contains(event.path)) traverse_below(event.path);
      return;
    case Event::Kind::folder_gone:
      examine_suspects();
      // The tickets first: what one brought, and had not recorded yet, may be recorded by now.
      for (std::string& path : instance_.store.tickets_below(event.path)) suspect(std::move(path));
      for (std::string& path : instance_.store.files_below(event.path)) suspect(std::move(path));
      return;
    case Event::Kind::overflow:
      traverse_soon_ = true;
      return;
  }
}

void Scanner::look_again_at_the_restless() {
  const Deadline now = std::chrono::steady_clock::now();
  for (std::string& path : restless_.ripe(now)) suspect(std::move(path));
  examine_suspects();
  for (const std::string& folder : unread_.ripe(now)) traverse_below(folder);
  examine_suspects();
}

void Scanner::suspect(std::string path) {
  suspects_.push_back(std::move(path));
  if (suspects_.size() >= kSuspects) examine_suspects();
}

void Scanner::examine_suspects() {
  if (suspects_.empty()) return;
  examine(std::exchange(suspects_, {}), Deletions::report);
}

void Scanner::examine(std::vector<std::string> paths, Deletions deletions) {
  if (share_was_bad_) return restless_.clear();  // the next traversal looks at everything
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  context_.beat();
  auto findings = examiner_.look(paths, moves_);
  add_origins(paths, findings);
  const bool announced = std::ranges::any_of(findings, &Finding::announced);
  const std::vector<Outcome> outcomes = recorder_.record(std::move(findings), deletions);
  const Deadline now = std::chrono::steady_clock::now();
  bool news = false;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    saw_only_ours_ &= outcomes[i] == Outcome::claimed;
    if (outcomes[i] == Outcome::gone) {
      restless_.erase(paths[i]);
      brake_.add(paths[i], now);
      continue;
    }
    brake_.remove(paths[i]);
    news |= outcomes[i] == Outcome::written;
    if (outcomes[i] == Outcome::ignored) to_forget_.push_back(paths[i]);
    if (outcomes[i] == Outcome::claimed) {
      restless_.begin_anew(paths[i], now);
    } else if (const auto longest = look_again_within(outcomes[i])) {
      restless_.put_off(paths[i], now, *longest);
    } else {
      restless_.erase(paths[i]);
    }
  }
  if (announced || news) instance_.wakes.listener.signal();  // peers may wait for a hash
  if (news) news_.tell();
}

/// A rename is recorded as one: what is told together is a rename for the peers too.
void Scanner::add_origins(std::vector<std::string>& paths, std::vector<Finding>& findings) {
  std::vector<std::string> origins;
  for (const Finding& finding : findings) {
    if (finding.moved_from.empty()) continue;
    if (!std::ranges::binary_search(paths, finding.moved_from)) {
      origins.push_back(finding.moved_from);
    }
  }
  if (origins.empty()) return;
  std::ranges::move(examiner_.look(origins, moves_), std::back_inserter(findings));
  std::ranges::move(origins, std::back_inserter(paths));
}

void Scanner::record_deletions(bool whole) {
  const std::uint64_t held = words_.held.load();
  if (brake_.is_empty() && held == 0) return;
  // Where the segment is full only the store has them all.
  const bool all_here = instance_.dictionary.holds_all();
  const std::uint64_t files =
      all_here ? instance_.dictionary.totals().files : instance_.store.count().files;
  const auto gone = brake_.take(files, whole, std::chrono::steady_clock::now());
  for (auto at = gone.begin(); at != gone.end() && !context_.stopping();) {
    const auto end = at + std::min<std::ptrdiff_t>(kSuspects, gone.end() - at);
    examine({at, end}, Deletions::record);
    at = end;
  }
  words_.held.store(brake_.held());
  if (brake_.held() == 0 || held != 0) return;
  log_error(
      "{} files are gone at once, more than a quarter of the share. That is told to nobody until "
      "it is approved: `supervisor deletes approve` if it was meant so, `supervisor deletes "
      "restore` to fetch them from the peers again",
      brake_.held());
}

void Scanner::hear_verdict() {
  switch (words_.verdict.exchange(state::Verdict::none)) {
    case state::Verdict::none:
      return;
    case state::Verdict::approve:
      return brake_.approve();
    case state::Verdict::restore:
      return forget_deletions();
  }
}

/// What isn't known isn't missing; and all peers are asked what they have.
void Scanner::forget_deletions() {
  const auto gone = brake_.give_up();
  if (gone.empty()) return;
  instance_.index.forget(gone, sync::Index::Peers::show_anew);
  instance_.peers.ask_anew();
  instance_.wakes.supervisor.signal();
  log_info("{} files that are gone here are fetched from the peers again", gone.size());
}

}  // namespace lefting::scanner

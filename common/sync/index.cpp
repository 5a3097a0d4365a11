#include "common/sync/index.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/state/layout.h"

namespace lefting::sync {

using state::FaultPoint;

namespace {

/// What is applied again goes through memory in such pieces, however much it is.
constexpr std::size_t kReplayPage = 1000;
/// A write transaction holds up every other program's, so it is kept short.
constexpr std::ptrdiff_t kForgotAtOnce = 5000;

}  // namespace

Index::Index(store::Store& store, state::Dictionary& dictionary, state::TicketQueue& tickets,
             state::Inflight& inflight)
    : store_{store}, dictionary_{dictionary}, tickets_{tickets}, inflight_{inflight} {}

bool Index::replay() {
  const std::lock_guard turn{turn_};
  return apply_stored();
}

bool Index::apply_stored() {
  const std::uint64_t sequence = inflight_.sequence.load();
  const std::uint64_t ticket = inflight_.ticket.load();
  if (sequence != 0) {
    log_info("applying what was only stored, from {} on", sequence);
    replay_records(sequence - 1);
    inflight_.sequence.store(0);
  }
  if (ticket != 0) {
    replay_tickets(ticket - 1);
    inflight_.ticket.store(0);
  }
  return sequence != 0 || ticket != 0;
}

void Index::replay_records(std::uint64_t after) {
  for (std::vector<Record> page;; page.clear()) {
    store_.changes_after(after, kReplayPage, [&](const Record& record) { page.push_back(record); });
    for (const Record& record : page) {
      note_room(dictionary_.apply(record));
      pass(FaultPoint::replaying);
    }
    if (page.size() < kReplayPage) return;
    after = page.back().sequence;
  }
}

void Index::replay_tickets(std::uint64_t after) {
  for (;;) {
    const std::vector<Ticket> page = store_.tickets_after(after, kReplayPage);
    note_room(tickets_.put(page));
    if (page.size() < kReplayPage) return;
    after = page.back().id;
  }
}

std::vector<bool> Index::commit(std::vector<Change>& changes, std::vector<TicketRef> finished) {
  const std::lock_guard turn{turn_};
  apply_stored();
  std::vector<bool> written;
  written.reserve(changes.size());
  {
    store::Transaction transaction{store_};
    inflight_.sequence.store(transaction.next_sequence());
    for (Change& change : changes) {
      written.push_back(transaction.put_record(change.record, change.base));
      if (written.back() && change.ticket != 0) {
        transaction.remove_ticket(change.record.entry.path, change.ticket);
      }
    }
    std::erase_if(finished, [&](const TicketRef& ticket) {
      if (!ticket.ignored_by.empty() && transaction.ignore_digest() != ticket.ignored_by) {
        return true;
      }
      if (ticket.unwanted) return !transaction.give_up_ticket(ticket.path, ticket.id);
      transaction.remove_ticket(ticket.path, ticket.id);
      return false;
    });
    pass(FaultPoint::records_inflight);
    transaction.commit();
  }
  pass(FaultPoint::records_committed);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (!written[i]) continue;
    const Change& change = changes[i];
    note_room(dictionary_.apply(change.record));
    if (change.ticket != 0) tickets_.remove(change.record.entry.path, change.ticket);
    pass(FaultPoint::records_half);
  }
  for (const TicketRef& ticket : finished) tickets_.remove(ticket.path, ticket.id);
  pass(FaultPoint::records_applied);
  inflight_.sequence.store(0);
  return written;
}

void Index::forget(const std::vector<std::string>& paths, Peers peers) {
  const std::lock_guard turn{turn_};
  apply_stored();
  // Less is known from now on, so the parts are to be loaded again whether or not this comes to its
  // end; and once more, if somebody has loaded one before it did.
  dictionary_.spoil();
  for (auto at = paths.begin(); at != paths.end();) {
    const auto end = at + std::min(kForgotAtOnce, paths.end() - at);
    store::Transaction transaction{store_};
    for (; at != end; ++at) transaction.forget_record(*at);
    if (peers == Peers::show_anew) transaction.forget_seen();
    transaction.commit();
  }
  dictionary_.spoil();
}

std::uint64_t Index::applied_by_all() {
  std::uint64_t applied = store_.last_sequence();  // before the words: who commits later is beyond
  const state::Layout& layout = dictionary_.segment().layout();
  const auto look = [&applied](const auto& words) {
    for (const state::Inflight& one : words) {
      if (const auto from = one.sequence.load(); from != 0) applied = std::min(applied, from - 1);
    }
  };
  look(layout.role_inflight);
  look(layout.hello_inflight);
  return applied;
}

std::size_t Index::fade_tombstones() {
  const std::uint64_t last = std::min(applied_by_all(), store_.told_to_all());
  std::size_t count = 0;
  if (last <= std::exchange(faded_, last)) return count;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    std::vector<Record> tombstones;
    store_.for_each_deleted(shard, [&](const Record& record) {
      if (record.sequence <= last) tombstones.push_back(record);
    });
    for (auto at = tombstones.begin(); at != tombstones.end();) {
      const auto end = at + std::min(kForgotAtOnce, tombstones.end() - at);
      store::Transaction transaction{store_};
      for (; at != end; ++at) transaction.fade(*at);
      transaction.commit();
    }
    count += tombstones.size();
  }
  return count;
}

void Index::apply_tickets(const std::vector<Ticket>& tickets) {
  pass(FaultPoint::tickets_committed);
  note_room(tickets_.put(tickets));
  pass(FaultPoint::tickets_applied);
  inflight_.ticket.store(0);
}

template <class Outcome>
void Index::note_room(const Outcome& applied) {
  if (applied || said_full_.exchange(true)) return;
  log_error("{}; until then the store is asked for what is not in it, which is slower",
            applied.error().text());
}

void Index::pass(FaultPoint point) { state::fault_point(dictionary_.segment().layout(), point); }

}  // namespace lefting::sync

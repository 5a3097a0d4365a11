#include "common/sync/index.h"

#include "common/base/log.h"
#include "common/state/layout.h"

namespace lefting::sync {

using state::FaultPoint;

Index::Index(store::Store& store, state::Dictionary& dictionary, state::TicketQueue& tickets,
             state::Inflight& inflight)
    : store_{store}, dictionary_{dictionary}, tickets_{tickets}, inflight_{inflight} {}

bool Index::replay() {
  const std::lock_guard turn{turn_};
  const std::uint64_t sequence = inflight_.sequence.load();
  const std::uint64_t ticket = inflight_.ticket.load();
  if (sequence != 0) {
    std::vector<Record> records;
    store_.changes_after(sequence - 1, SIZE_MAX >> 1,
                         [&](const Record& record) { records.push_back(record); });
    log_info("applying {} records that a predecessor had only stored", records.size());
    for (const Record& record : records) {
      note_room(dictionary_.apply(record));
      pass(FaultPoint::replaying);
    }
    inflight_.sequence.store(0);
  }
  if (ticket != 0) apply_tickets(store_.tickets_from(ticket));
  return sequence != 0 || ticket != 0;
}

std::vector<bool> Index::commit(std::vector<Change>& changes, std::vector<TicketRef> finished) {
  const std::lock_guard turn{turn_};
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

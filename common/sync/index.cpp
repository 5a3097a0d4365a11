#include "common/sync/index.h"

#include "common/base/log.h"

namespace lefting::sync {

Index::Index(store::Store& store, state::Dictionary& dictionary, state::TicketQueue& tickets,
             state::Inflight& inflight)
    : store_{store}, dictionary_{dictionary}, tickets_{tickets}, inflight_{inflight} {}

void Index::replay() {
  const std::lock_guard turn{turn_};
  if (const std::uint64_t from = inflight_.sequence.load(); from != 0) {
    std::vector<Record> records;
    store_.changes_after(from - 1, SIZE_MAX >> 1, [&](const Record& r) { records.push_back(r); });
    log_info("applying {} records that a predecessor had only stored", records.size());
    for (const Record& record : records) {
      // A full segment is said where it is met next; what the store has stays right.
      if (!dictionary_.apply(record)) break;
    }
    inflight_.sequence.store(0);
  }
  if (const std::uint64_t from = inflight_.ticket.load(); from != 0) {
    static_cast<void>(apply_tickets(store_.tickets_from(from)));
  }
}

Result<std::vector<bool>> Index::commit(std::vector<Change>& changes,
                                        const std::vector<TicketRef>& finished) {
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
    for (const TicketRef& ticket : finished) transaction.remove_ticket(ticket.path, ticket.id);
    transaction.commit();
  }
  Status applied;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (!written[i]) continue;
    const Change& change = changes[i];
    if (auto one = dictionary_.apply(change.record); !one) applied = one.error();
    if (change.ticket != 0) tickets_.remove(change.record.entry.path, change.ticket);
  }
  for (const TicketRef& ticket : finished) tickets_.remove(ticket.path, ticket.id);
  inflight_.sequence.store(0);
  if (!applied) return applied.error();
  return written;
}

Status Index::apply_tickets(const std::vector<Ticket>& tickets) {
  auto applied = tickets_.put(tickets);
  if (applied) inflight_.ticket.store(0);  // else a successor tries again
  return applied;
}

}  // namespace lefting::sync

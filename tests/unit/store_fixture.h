#pragma once

#include <string>

#include "common/store/store.h"
#include "tests/unit/records.h"
#include "tests/unit/run_sql.h"

namespace lefting::test {

inline Record record_of(const std::string& path, int content) {
  Record record;
  record.entry = entry(path, content, {{device('A'), 5}, {device('B'), 1u << 30}});
  record.ctime_ns = 42 + content;
  record.inode = 7;
  return record;
}

inline std::uint64_t put(store::Store& store, Record record, std::uint64_t base) {
  store::Transaction transaction{store};
  const bool written = transaction.put_record(record, base);
  transaction.commit();
  return written ? record.sequence : 0;
}

}  // namespace lefting::test

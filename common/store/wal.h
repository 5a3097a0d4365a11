#pragma once

#include <string>

namespace lefting::store {

/// True if the write-ahead log of the store at `path` is garbled: SQLite would leave out commits in
/// it without a word. A death of the programs that wrote it leaves a torn end, which is no damage;
/// after a power cut the same picture is no damage either (synchronous=NORMAL). Nobody may write.
/// Source: https://www.sqlite.org/fileformat2.html#walformat
bool is_wal_garbled(const std::string& path);

}  // namespace lefting::store

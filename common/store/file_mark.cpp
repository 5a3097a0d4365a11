#include "common/store/file_mark.h"

#include <sys/stat.h>

namespace lefting::store {

namespace {

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

FileMark file_mark(const std::string& store_path) {
  FileMark out;
  struct stat status {};
  if (::stat(store_path.c_str(), &status) == 0) {
    out.inode = status.st_ino;
    out.size_bytes = status.st_size;
    out.changed_ns = nanoseconds(status.st_mtim);
  }
  if (::stat((store_path + "-wal").c_str(), &status) == 0) {
    out.log_bytes = status.st_size;
    out.log_changed_ns = nanoseconds(status.st_mtim);
  }
  return out;
}

}  // namespace lefting::store

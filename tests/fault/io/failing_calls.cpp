// Loaded into a program by LD_PRELOAD: lets one of its system calls fail, as FailingCalls says.
#include "tests/fault/io/failing_calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>

namespace {

using namespace lefting::test;

FailingCalls* map_control() {
  const char* const path = std::getenv(FailingCalls::kVariable);
  if (path == nullptr) return nullptr;
  const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC));
  if (fd < 0) return nullptr;
  void* const memory =
      ::mmap(nullptr, sizeof(FailingCalls), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  return memory == MAP_FAILED ? nullptr : static_cast<FailingCalls*>(memory);
}

std::uint32_t own_name() {
  char text[16] = {};
  ::prctl(PR_GET_NAME, text);
  return FailingCalls::name(text);
}

bool fails(std::uint32_t call) {
  static FailingCalls* const control = map_control();
  static const std::uint32_t name = own_name();  // of the first thread, asked for before others are
  if (control == nullptr || control->program.load() != name) return false;
  if ((control->calls.load() & call) == 0) return false;
  const std::int64_t left = control->left.fetch_sub(1);
  if (left > 0 || (left < 0 && control->lasting.load() == 0)) return false;
  control->failed.fetch_add(1);
  errno = control->error.load();
  return true;
}

__attribute__((constructor)) void begin() { static_cast<void>(fails(0)); }

bool is_regular(int fd) {
  struct stat stat;
  return ::fstat(fd, &stat) == 0 && (S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode));
}

std::uint32_t open_kind(int flags) {
  return kCallOpen | ((flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0 ? kCallOpenToWrite : 0u);
}

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

// What C's headers declare with attributes is declared here once more without them.
#define FORWARD(kind, failed, result, name, parameters, arguments) \
  extern "C" result name parameters {                              \
    static auto* const next = real<result parameters>(#name);      \
    return fails(kind) ? (failed) : next arguments;                \
  }
#define FORWARD_FD(kind, failed, result, name, parameters, arguments) \
  extern "C" result name parameters {                                 \
    static auto* const next = real<result parameters>(#name);         \
    return is_regular(fd) && fails(kind) ? (failed) : next arguments; \
  }
#define FORWARD_OPEN(name)                                                               \
  extern "C" int name(const char* path, int flags, ...) {                                \
    va_list list;                                                                        \
    va_start(list, flags);                                                               \
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0; \
    va_end(list);                                                                        \
    static auto* const next = real<int(const char*, int, ...)>(#name);                   \
    return fails(open_kind(flags)) ? -1 : next(path, flags, mode);                       \
  }
#define FORWARD_OPENAT(name)                                                             \
  extern "C" int name(int folder, const char* path, int flags, ...) {                    \
    va_list list;                                                                        \
    va_start(list, flags);                                                               \
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0; \
    va_end(list);                                                                        \
    static auto* const next = real<int(int, const char*, int, ...)>(#name);              \
    return fails(open_kind(flags)) ? -1 : next(folder, path, flags, mode);               \
  }

FORWARD_OPEN(open)
FORWARD_OPEN(open64)
FORWARD_OPENAT(openat)
FORWARD_OPENAT(openat64)
FORWARD_FD(kCallRead, -1, ssize_t, read, (int fd, void* to, size_t n), (fd, to, n))
FORWARD_FD(kCallRead, -1, ssize_t, pread, (int fd, void* to, size_t n, off_t at), (fd, to, n, at))
FORWARD_FD(kCallRead, -1, ssize_t, pread64, (int fd, void* to, size_t n, off_t at), (fd, to, n, at))
FORWARD_FD(kCallWrite, -1, ssize_t, write, (int fd, const void* from, size_t n), (fd, from, n))
FORWARD_FD(kCallWrite, -1, ssize_t, pwrite, (int fd, const void* from, size_t n, off_t at),
           (fd, from, n, at))
FORWARD_FD(kCallWrite, -1, ssize_t, pwrite64, (int fd, const void* from, size_t n, off_t at),
           (fd, from, n, at))
FORWARD(kCallWrite, -1, ssize_t, copy_file_range,
        (int from, off_t* at, int to, off_t* to_at, size_t n, unsigned flags),
        (from, at, to, to_at, n, flags))
FORWARD_FD(kCallSync, -1, int, fsync, (int fd), (fd))
FORWARD(kCallSync, -1, int, syncfs, (int fd), (fd))
FORWARD_FD(kCallSync, -1, int, fdatasync, (int fd), (fd))
FORWARD_FD(kCallSync, -1, int, sync_file_range, (int fd, off_t at, off_t n, unsigned flags),
           (fd, at, n, flags))
FORWARD_FD(kCallSize, -1, int, ftruncate, (int fd, off_t size), (fd, size))
FORWARD_FD(kCallSize, -1, int, ftruncate64, (int fd, off_t size), (fd, size))
FORWARD_FD(kCallSize, -1, int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
FORWARD_FD(kCallSize, -1, int, fallocate64, (int fd, int mode, off_t at, off_t n),
           (fd, mode, at, n))
FORWARD_FD(kCallSize, errno, int, posix_fallocate, (int fd, off_t at, off_t n), (fd, at, n))
FORWARD_FD(kCallSize, errno, int, posix_fallocate64, (int fd, off_t at, off_t n), (fd, at, n))
FORWARD_FD(kCallMeta, -1, int, fchmod, (int fd, mode_t mode), (fd, mode))
FORWARD_FD(kCallMeta, -1, int, futimens, (int fd, const struct timespec* times), (fd, times))
FORWARD(kCallName, -1, int, rename, (const char* from, const char* to), (from, to))
FORWARD(kCallName, -1, int, renameat, (int from, const char* a, int to, const char* b),
        (from, a, to, b))
FORWARD(kCallName, -1, int, renameat2,
        (int from, const char* a, int to, const char* b, unsigned flags), (from, a, to, b, flags))
FORWARD(kCallName, -1, int, linkat, (int from, const char* a, int to, const char* b, int flags),
        (from, a, to, b, flags))
FORWARD(kCallName, -1, int, unlink, (const char* path), (path))
FORWARD(kCallName, -1, int, unlinkat, (int folder, const char* path, int flags),
        (folder, path, flags))
FORWARD(kCallName, -1, int, mkdir, (const char* path, mode_t mode), (path, mode))
FORWARD(kCallName, -1, int, mkdirat, (int folder, const char* path, mode_t mode),
        (folder, path, mode))

/// The share is opened by openat2, which the C library doesn't know.
extern "C" long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& one : a) one = va_arg(list, long);
  va_end(list);
  static auto* const next = real<long(long, ...)>("syscall");
  if (number == SYS_openat2) {
    const auto flags = static_cast<int>(*reinterpret_cast<const std::uint64_t*>(a[2]));
    if (fails(open_kind(flags))) return -1;
  }
  return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#pragma once

#include <atomic>
#include <cstdint>

namespace lefting::test {

/// Kinds of system calls that can be made to fail, as bits.
enum FailingCall : std::uint32_t {
  kCallOpen = 1,
  kCallOpenToWrite = 2,  ///< also a kCallOpen
  kCallRead = 4,
  kCallWrite = 8,
  kCallSync = 16,
  kCallSize = 32,  ///< ftruncate, fallocate
  kCallName = 64,  ///< rename, link, unlink, mkdir
  kCallMeta = 128  ///< fchmod, futimens
};

/// A file that this is mapped from tells the programs in which failing_calls.cpp is loaded what is
/// to fail. Only calls on regular files and folders ever do.
struct FailingCalls {
  static constexpr const char* kVariable = "LEFTING_FAILING_CALLS";

  std::atomic<std::uint32_t> program{0};  ///< the first four letters of its name; 0: none
  std::atomic<std::uint32_t> calls{0};    ///< a set of FailingCall
  std::atomic<std::int32_t> error{0};     ///< errno
  std::atomic<std::int64_t> left{0};      ///< so many of those calls succeed before one fails
  std::atomic<std::uint32_t> lasting{0};  ///< 1: all after that one fail too
  std::atomic<std::uint64_t> failed{0};   ///< how many did

  static constexpr std::uint32_t name(const char* text) {
    std::uint32_t out = 0;
    for (int i = 0; i < 4 && text[i] != '\0'; ++i) {
      out = out << 8 | static_cast<unsigned char>(text[i]);
    }
    return out;
  }
};

}  // namespace lefting::test

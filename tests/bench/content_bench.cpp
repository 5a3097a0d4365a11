// Measures what is done with a file's content, stage by stage, on a file in the page cache.
//
//   content_bench [MIB]   the file's size, default 1024

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <vector>

#include "common/base/os.h"
#include "common/share/cut.h"
#include "common/share/hash.h"
#include "common/share/partial.h"
#include "downloader/delta.h"
#include "tests/bench/need.h"

namespace {

using namespace lefting;
using bench::need;
using bench::seconds_of;
namespace fs = std::filesystem;

void report(const char* what, std::uint64_t bytes, const std::function<void()>& work) {
  const double seconds = seconds_of(work);
  fmt::print("{:<34} {:6.3f} s {:7.2f} GB/s\n", what, seconds,
             static_cast<double>(bytes) / seconds / 1e9);
}

void fill(int fd, std::uint64_t bytes) {
  std::mt19937_64 random{1};
  std::vector<std::uint64_t> piece((1u << 20) / sizeof(std::uint64_t));
  for (std::uint64_t at = 0; at < bytes; at += 1u << 20) {
    for (std::uint64_t& word : piece) word = random();
    need(pwrite_all(fd, std::as_bytes(std::span{piece}), at));
  }
}

void measure(const std::string& folder, std::uint64_t bytes) {
  const UniqueFd fd{::open((folder + "/f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  fill(fd.get(), bytes);
  const auto beat = [] { return true; };
  report("read", bytes, [&] {
    std::vector<std::byte> piece(256u << 10);
    for (std::uint64_t at = 0; at < bytes; at += piece.size()) need(pread_all(fd.get(), piece, at));
  });
  report("SHA-256", bytes, [&] { need(share::hash_file(fd.get(), HashKind::sha256, beat)); });
  report("BLAKE3", bytes, [&] { need(share::hash_file(fd.get(), HashKind::blake3, beat)); });
  std::vector<share::Block> blocks;
  report("cut, 1 thread", bytes, [&] { blocks = need(share::cut_file(fd.get(), bytes, 1, beat)); });
  report("cut, 2 threads", bytes, [&] { need(share::cut_file(fd.get(), bytes, 2, beat)); });
  report("plan a delta", bytes, [&] { downloader::plan_delta(blocks, blocks); });
  report("plan one in place", bytes,
         [&] { need(downloader::plan_in_place(fd.get(), blocks, beat)); });
  const share::Share share = need(share::Share::open(folder));
  auto partial = need(share::PartialFile::open(share, "g", bytes, false));
  report("copy in the kernel", bytes, [&] { need(partial.copy(fd.get(), 0, bytes, 0)); });
  report("fsync of the copy", bytes, [&] { need(partial.sync_content()); });
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t mib = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1024;
  // On the disk, not in a tmpfs.
  std::string folder = fs::current_path() / "content-bench-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  try {
    measure(folder, mib << 20);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
  }
  fs::remove_all(folder);
  return 0;
}

// Measures frames, pages of entries, and one connection over loopback.
//
//   wire_bench [GIB]   how much goes through each connection, default 1

#include <fmt/core.h>
#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <random>
#include <stdexcept>

#include "common/base/os.h"
#include "common/net/connection.h"
#include "common/wire/entry_list.h"
#include "tests/bench/need.h"

namespace {

using namespace lefting;
using bench::need;
using bench::seconds_of;

constexpr std::size_t kFrameDataBytes = 1u << 20;

void bench_frames() {
  constexpr int kCount = 1000000;
  wire::Request request;
  request.operation = wire::Operation::get_file;
  request.file.path = "folder/another folder/file.bin";
  request.file.length = 1u << 20;
  const std::string header = wire::encode_request(request);
  std::vector<std::byte> stream;
  const double encode = seconds_of([&] {
    for (int i = 0; i < kCount; ++i) {
      const auto frame = wire::encode_frame(header);
      stream.insert(stream.end(), frame.begin(), frame.end());
    }
  });
  const double decode = seconds_of([&] {
    std::span<const std::byte> left{stream};
    while (need(wire::take_frame(left))) {
    }
  });
  const double requests = seconds_of([&] {
    for (int i = 0; i < kCount / 10; ++i) {
      if (wire::decode_request(header).index() != 0) throw std::runtime_error("bad request");
    }
  });
  fmt::print("frames: encode {:.1f} M/s, decode {:.1f} M/s; requests: decode {:.0f} k/s\n",
             kCount / encode / 1e6, kCount / decode / 1e6, kCount / 10 / requests / 1e3);
}

std::vector<Entry> sample_entries(std::size_t count) {
  std::mt19937_64 random{1};
  std::vector<Entry> entries(count);
  for (std::size_t i = 0; i < count; ++i) {
    Entry& entry = entries[i];
    entry.path = fmt::format("projects/some folder/sub folder {:04}/file number {:08}.dat", i / 50,
                             random() % 100000000);
    entry.size = random() >> 40;
    entry.mtime_ns = 1700000000000000000 + static_cast<std::int64_t>(random() >> 20);
    entry.hash.emplace();
    for (auto& byte : entry.hash->bytes) byte = static_cast<std::uint8_t>(random());
    entry.version = {{*parse_short_id("ABCDEFGH"), 1700000000000 + random() % 1000000}};
  }
  return entries;
}

void bench_page() {
  constexpr std::size_t kCount = 10000;
  const auto entries = sample_entries(kCount);
  std::string page;
  std::string packed;
  std::size_t taken = 0;
  std::vector<wire::Rejected> rejected;
  const double encode = seconds_of([&] {
    wire::EntryListWriter writer;
    for (const Entry& entry : entries) writer.add(entry);
    page = writer.take();
  });
  const double decode = seconds_of([&] {
    need(wire::decode_entry_list(
        page, [&](Entry&&) { ++taken; }, rejected));
  });
  if (taken != kCount) throw std::runtime_error("entries were lost");
  const double pack = seconds_of([&] { packed = wire::compress(page); });
  const double unpack =
      seconds_of([&] { need(wire::decompress(std::as_bytes(std::span{packed}), page.size())); });
  fmt::print(
      "page of {} entries, {:.2f} MB: encode {:.1f} ms, decode {:.1f} ms; "
      "zstd to {:.2f} MB: {:.1f} ms, back {:.1f} ms\n",
      kCount, static_cast<double>(page.size()) / 1e6, encode * 1e3, decode * 1e3,
      static_cast<double>(packed.size()) / 1e6, pack * 1e3, unpack * 1e3);
}

net::Connection accept_one(int listening, const net::Identity* identity) {
  pollfd fd{listening, POLLIN, 0};
  poll_fds({&fd, 1}, -1);
  UniqueFd socket{::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC)};
  return need(net::Connection::accept(std::move(socket), identity, -1));
}

void receive_all(int listening, const net::Identity* identity, std::size_t frames) {
  net::Connection connection = accept_one(listening, identity);
  std::vector<std::byte> data(kFrameDataBytes);
  for (std::size_t i = 0; i < frames; ++i) {
    need(connection.begin_frame(milliseconds{10000}));
    need(connection.read_header());
    need(connection.read_data(data));
  }
  need(connection.send("{}"));
}

void bench_connection(const char* name, const net::Identity* identity, std::size_t frames) {
  const UniqueFd listening = need(net::listen_on({"127.0.0.1", 0}));
  const net::Address address = need(net::local_address(listening.get()));
  auto receiving =
      std::async(std::launch::async, [&] { receive_all(listening.get(), identity, frames); });
  net::Connection connection = need(net::Connection::connect(address, identity, {}, -1));
  const std::vector<std::byte> data(kFrameDataBytes, std::byte{0x5a});
  const double seconds = seconds_of([&] {
    for (std::size_t i = 0; i < frames; ++i) need(connection.send("{\"id\":1}", data));
    need(connection.receive(milliseconds{10000}));
  });
  receiving.get();
  fmt::print("{}: {:.0f} MB/s, {} frames of 1 MiB\n", name,
             static_cast<double>(frames * kFrameDataBytes) / seconds / 1e6, frames);
}

net::Identity bench_identity() {
  std::string folder = std::filesystem::temp_directory_path() / "wire-bench-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
  auto identity = net::Identity::open(folder + "/key.pem", folder + "/certificate.pem");
  std::filesystem::remove_all(folder);
  return need(std::move(identity));
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t gib = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1;
  bench_frames();
  bench_page();
  const net::Identity identity = bench_identity();
  bench_connection("plain", nullptr, gib * 1024);
  bench_connection("TLS", &identity, gib * 1024);
  return 0;
}

#include "common/share/cut.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <random>
#include <set>

#include "common/base/unique_fd.h"
#include "tests/unit/noise.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using namespace lefting::share;

using test::noise;

namespace {

std::vector<Block> cut(const std::string& content, std::size_t threads) {
  const test::TempFolder folder;
  std::ofstream{folder / "f", std::ios::binary} << content;
  const UniqueFd fd{::open((folder / "f").c_str(), O_RDONLY | O_CLOEXEC)};
  auto blocks = cut_file(fd.get(), content.size(), threads, [] { return true; });
  REQUIRE(blocks.ok());
  return blocks.take();
}

/// Cut by the definition, from the file's beginning.
std::vector<Block> cut_plainly(const std::string& content) {
  std::vector<Block> out;
  auto rest = std::as_bytes(std::span{content});
  while (!rest.empty()) {
    const std::size_t length = block_length(rest.first(std::min(rest.size(), kMostBlock)));
    out.push_back({static_cast<std::uint32_t>(length), block_hash(rest.first(length))});
    rest = rest.subspan(length);
  }
  return out;
}

/// As PROTOCOL.md says it, a byte after the other.
std::size_t length_by_the_words(const std::string& content) {
  std::uint64_t state = 0x4c656674696e6721;
  std::vector<std::uint64_t> gear;
  while (gear.size() < 256) {
    state += 0x9e3779b97f4a7c15;
    std::uint64_t z = (state ^ state >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    gear.push_back(z ^ z >> 31);
  }
  std::uint64_t hash = 0;
  for (std::size_t byte = 65'473; byte <= std::min<std::size_t>(content.size(), 1'048'576);
       ++byte) {
    hash = hash * 2 + gear[static_cast<std::uint8_t>(content[byte - 1])];
    if (byte >= 65'537 && hash >> 44 == 0) return byte;
    if (byte >= 262'145 && hash >> 48 == 0) return byte;
  }
  return std::min<std::size_t>(content.size(), 1'048'576);
}

std::size_t bytes_not_in(const std::vector<Block>& blocks, const std::vector<Block>& known) {
  std::set<BlockHash> hashes;
  for (const Block& block : known) hashes.insert(block.hash);
  std::size_t bytes = 0;
  for (const Block& block : blocks) bytes += hashes.contains(block.hash) ? 0 : block.length;
  return bytes;
}

}  // namespace

TEST_CASE("block_length: as PROTOCOL.md says, wherever a block ends") {
  for (unsigned seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    std::string content = noise(1'048'576, seed);
    // Some short, and some of few different bytes.
    if (seed % 4 == 1) content.resize(content.size() * (seed + 1) / 301);
    for (char& byte : content) byte = seed % 4 == 2 ? static_cast<char>(byte & 1) : byte;
    CHECK(block_length(std::as_bytes(std::span{content})) == length_by_the_words(content));
  }
}

TEST_CASE("cut_file: however many threads cut, the blocks are those of the rule") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kLeastBlock, kLeastBlock + 1,
                                 std::size_t{5'000'000}, std::size_t{70'000'001}}) {
    CAPTURE(size);
    const std::string content = noise(size, 3);
    const auto plain = cut_plainly(content);
    for (const std::size_t threads : {1, 2, 3, 5}) CHECK(cut(content, threads) == plain);
  }
  // No cut but by length: what began elsewhere never meets the rest.
  const std::string zeros(70'000'001, '\0');
  for (const std::size_t threads : {1, 2, 5}) CHECK(cut(zeros, threads) == cut_plainly(zeros));
}

TEST_CASE("cut_file: blocks are as long as the rule says, most near the usual length") {
  const auto blocks = cut(noise(100'000'000, 4), 2);
  std::size_t usual = 0;
  for (std::size_t i = 0; i + 1 < blocks.size(); ++i) {
    CHECK(blocks[i].length >= kLeastBlock);
    CHECK(blocks[i].length <= kMostBlock);
    usual += blocks[i].length >= kUsualBlock / 2 && blocks[i].length <= 2 * kUsualBlock;
  }
  const std::size_t mean = 100'000'000 / blocks.size();
  CHECK(mean > kUsualBlock * 3 / 4);
  CHECK(mean < kUsualBlock * 3 / 2);
  CHECK(usual > blocks.size() * 3 / 4);
}

TEST_CASE("cut_file: a change of some bytes changes only the blocks that it touches") {
  const std::string before = noise(40'000'000, 5);
  const auto known = cut(before, 2);
  std::string after = before;
  SUBCASE("in place") { after.replace(20'000'000, 1000, std::string(1000, 'x')); }
  SUBCASE("inserted at the front") { after.insert(0, "some bytes more"); }
  SUBCASE("inserted in the middle") { after.insert(20'000'000, "some bytes more"); }
  SUBCASE("removed") { after.erase(20'000'000, 12345); }
  CHECK(bytes_not_in(cut(after, 2), known) <= 2 * kMostBlock);
}

TEST_CASE("encode_blocks: decode_blocks gives the same; what are no blocks is refused") {
  const auto blocks = cut_plainly(noise(3'000'000, 6));
  const std::string bytes = encode_blocks(blocks);
  CHECK(bytes.size() == blocks.size() * kEncodedBlock);
  CHECK(decode_blocks(bytes) == blocks);
  CHECK_FALSE(decode_blocks(bytes.substr(1)));
  CHECK_FALSE(decode_blocks(std::string(20, '\0')));
  CHECK(decode_blocks("")->empty());
}

namespace {

Sketch sketch(const std::string& content) {
  const test::TempFolder folder;
  std::ofstream{folder / "f", std::ios::binary} << content;
  const UniqueFd fd{::open((folder / "f").c_str(), O_RDONLY | O_CLOEXEC)};
  auto made = sketch_file(fd.get(), content.size(), [] { return true; });
  REQUIRE(made.ok());
  CHECK(std::ranges::is_sorted(made.value()));
  return made.take();
}

std::size_t in_common(const Sketch& one, const Sketch& other) {
  Sketch both;
  std::ranges::set_intersection(one, other, std::back_inserter(both));
  return both.size();
}

}  // namespace

TEST_CASE("sketch_file: what is changed, cut out or put in keeps most of it") {
  const std::string content = noise(20u << 20, 7);
  const Sketch whole = sketch(content);
  CHECK(whole.size() == 8);  // two windows
  CHECK(sketch(content) == whole);
  CHECK(in_common(sketch(noise(20u << 20, 8)), whole) == 0);
  std::string changed = content;
  SUBCASE("changed in the middle") {
    changed.replace(10u << 20, 1u << 20, noise(1u << 20, 9));
    CHECK(sketch(changed) == whole);
    return;
  }
  SUBCASE("put in at the front") { changed.insert(0, noise(300'000, 9)); }
  SUBCASE("much put in at the front") { changed.insert(0, noise(30u << 20, 9)); }
  SUBCASE("cut out at the front") { changed.erase(0, 500'000); }
  SUBCASE("appended") { changed += noise(17u << 20, 9); }
  SUBCASE("another beginning and end") {
    changed.replace(0, 1'000'000, noise(1'000'000, 9));
    changed.replace(changed.size() - 1'000'000, 1'000'000, noise(1'000'000, 10));
  }
  CHECK(in_common(sketch(changed), whole) >= 2);
}

TEST_CASE("sketch_file: zeros are like nothing; a file that ends too early can't be sketched") {
  CHECK(sketch(std::string(20u << 20, '\0')).empty());
  CHECK(sketch("").empty());
  CHECK(sketch(noise(100'000, 1)).size() == 1);
  const test::TempFolder folder;
  std::ofstream{folder / "f", std::ios::binary} << noise(5u << 20, 1);
  const UniqueFd fd{::open((folder / "f").c_str(), O_RDONLY | O_CLOEXEC)};
  const auto early = sketch_file(fd.get(), 20u << 20, [] { return true; });
  REQUIRE_FALSE(early.ok());
  CHECK(early.error().code.value() == EIO);
  const auto ended = sketch_file(fd.get(), 5u << 20, [] { return false; });
  REQUIRE_FALSE(ended.ok());
  CHECK(ended.error().code.value() == ECANCELED);
}

#include "downloader/content_writer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/share/hash.h"
#include "common/store/store.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using downloader::ContentWriter;

namespace {

constexpr std::uint64_t kPiece = 1u << 20;

/// A file that is received in pieces of 1 MiB.
struct Received {
  test::TempFolder folder;
  share::Share share = share::Share::open(folder.path()).take();
  std::string content;
  std::vector<bool> here;
  share::PartialFile partial;

  explicit Received(std::size_t bytes)
      : content(bytes, '\0'),
        here((bytes + kPiece - 1) / kPiece),
        partial{share::PartialFile::open(share, "f", bytes, false).take()} {
    std::mt19937_64 random{7};
    for (char& c : content) c = static_cast<char>(random());
  }
  Result<std::uint64_t> note(const ContentWriter::Piece& piece) {
    here[piece.offset / kPiece] = true;
    const auto first = std::ranges::find(here, false) - here.begin();
    return std::min<std::uint64_t>(content.size(), static_cast<std::uint64_t>(first) * kPiece);
  }
  std::string piece(std::size_t at) const { return content.substr(at * kPiece, kPiece); }
  Status put(ContentWriter& writer, std::size_t at) const {
    const std::string bytes = piece(at);
    std::ranges::copy(std::as_bytes(std::span{bytes}), writer.room(bytes.size()).begin());
    return writer.put({at * kPiece, bytes.size()});
  }
  ContentHash hash() const {
    return share::hash_bytes(std::as_bytes(std::span{content}), HashKind::blake3);
  }
  std::string on_disk() const {
    std::ifstream in{folder / "f.lefting", std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
};

}  // namespace

TEST_CASE("ContentWriter: pieces in any order end as the file and its hash") {
  using Order = std::vector<std::size_t>;
  std::function<void(Order&)> arrange = [](Order&) {};
  SUBCASE("from the beginning on") {}
  SUBCASE("backwards") {
    arrange = [](Order& order) { std::ranges::reverse(order); };
  }
  SUBCASE("every other one first") {
    arrange = [](Order& order) {
      std::ranges::stable_partition(order, [](std::size_t at) { return at % 2 == 0; });
    };
  }
  SUBCASE("at random, one twice") {
    arrange = [](Order& order) {
      std::shuffle(order.begin(), order.end(), std::mt19937{5});
      order.push_back(order[1]);
    };
  }
  // The larger goes past the page cache, but for its end.
  for (const std::size_t bytes : {3 * kPiece, 17 * kPiece + 5000}) {
    Received file{bytes};
    Order order(file.here.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    arrange(order);
    Order noted;
    ContentWriter writer{file.partial, bytes, HashKind::blake3, [&](const auto& piece) {
                           noted.push_back(piece.offset / kPiece);
                           return file.note(piece);
                         }};
    for (const std::size_t at : order) REQUIRE(file.put(writer, at).ok());
    REQUIRE(writer.settle().ok());
    CHECK(writer.pending_bytes() == 0);
    CHECK(noted == order);
    CHECK(std::ranges::count(file.here, true) == static_cast<std::ptrdiff_t>(file.here.size()));
    CHECK(writer.finish().value() == file.hash());
    CHECK(file.on_disk() == file.content);
  }
}

TEST_CASE("ContentWriter: what was there before is read back, while later pieces come") {
  Received file{12 * kPiece};
  for (std::size_t at = 0; at < 8; ++at) {
    const std::string bytes = file.piece(at);
    REQUIRE(file.partial.write(std::as_bytes(std::span{bytes}), at * kPiece).ok());
    file.here[at] = true;
  }
  ContentWriter writer{file.partial, file.content.size(), HashKind::blake3,
                       [&](const auto& piece) { return file.note(piece); }};
  writer.advance(8 * kPiece);
  for (std::size_t at = 8; at < 12; ++at) REQUIRE(file.put(writer, at).ok());
  REQUIRE(writer.settle().ok());
  CHECK(writer.finish().value() == file.hash());
}

TEST_CASE("ContentWriter: pieces that are no block's are hashed when all before them is there") {
  // As of a delta: the rest is copied into the file, and advance() says so.
  Received file{4 * kPiece};
  ContentWriter writer{file.partial, file.content.size(), HashKind::blake3,
                       [](const auto&) { return Result<std::uint64_t>{std::uint64_t{0}}; }};
  const std::string_view content = file.content;
  const auto missing = content.substr(1'000'000, 300'001);
  std::ranges::copy(std::as_bytes(std::span{missing}), writer.room(missing.size()).begin());
  REQUIRE(writer.put({1'000'000, missing.size()}).ok());
  REQUIRE(writer.settle().ok());
  const std::size_t end = 1'000'000 + missing.size();
  for (const auto& [from, to] :
       {std::pair{std::size_t{0}, std::size_t{1'000'000}}, std::pair{end, file.content.size()}}) {
    const auto rest = content.substr(from, to - from);
    REQUIRE(file.partial.write(std::as_bytes(std::span{rest}), from).ok());
  }
  writer.advance(file.content.size());
  CHECK(writer.finish().value() == file.hash());
}

TEST_CASE("ContentWriter: an error or exception of a piece ends the writing, and is said") {
  Received file{9 * kPiece};
  int noted = 0;
  SUBCASE("error") {
    ContentWriter writer{file.partial, file.content.size(), HashKind::blake3,
                         [&](const auto& piece) -> Result<std::uint64_t> {
                           if (++noted == 2) return os_error(ECANCELED, "note");
                           return file.note(piece);
                         }};
    for (std::size_t at = 0; at < 9; ++at) static_cast<void>(file.put(writer, at));
    const Status outcome = writer.settle();
    REQUIRE_FALSE(outcome.ok());
    CHECK(outcome.error().code.value() == ECANCELED);
    CHECK(noted == 2);
  }
  SUBCASE("exception") {
    ContentWriter writer{file.partial, file.content.size(), HashKind::blake3,
                         [&](const auto&) -> Result<std::uint64_t> {
                           throw store::StoreError("as a test wants", false);
                         }};
    static_cast<void>(file.put(writer, 0));
    CHECK_THROWS_AS(writer.settle().ok(), store::StoreError);
  }
}

TEST_CASE("ContentWriter: it can be left at any time") {
  Received file{9 * kPiece};
  ContentWriter writer{file.partial, file.content.size(), HashKind::blake3,
                       [&](const auto& piece) { return file.note(piece); }};
  for (std::size_t at = 1; at < 9; ++at) REQUIRE(file.put(writer, at).ok());
  writer.room(kPiece);
}

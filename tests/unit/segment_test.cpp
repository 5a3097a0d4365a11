#include "common/state/segment.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/os.h"
#include "common/base/shard.h"
#include "common/state/layout.h"
#include "common/state/role_board.h"

using namespace lefting;
using namespace lefting::state;

namespace {

constexpr std::size_t kLimit = 64 << 20;

UniqueFd copy_of(int fd) { return UniqueFd{::fcntl(fd, F_DUPFD_CLOEXEC, 0)}; }

UniqueFd memfd_with(std::span<const std::byte> bytes, std::uint64_t size) {
  UniqueFd fd{::memfd_create("segment-test", MFD_CLOEXEC)};
  REQUIRE(fd);
  REQUIRE(pwrite_all(fd.get(), bytes, 0).ok());
  REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
  return fd;
}

std::string refusal(UniqueFd fd) {
  const Result<Segment> segment = Segment::attach(std::move(fd));
  REQUIRE_FALSE(segment.ok());
  return segment.error().text();
}

bool says(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("Segment: a new one has its own generation and little memory behind its addresses") {
  const Segment one = Segment::create(kLimit);
  const Segment other = Segment::create(kLimit);
  CHECK(one.generation().value != 0);
  CHECK_FALSE(one.generation() == other.generation());
  CHECK(one.size_bytes() >= 16 * kLimit);
  CHECK(one.used_bytes() == sizeof(Layout) + 2 * kShards * kFirstArenaBytes);
  CHECK(one.used_bytes() < 3 << 20);
  CHECK((::fcntl(one.fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("Segment: each part has its own place, whole pages, and its first memory") {
  for (const std::size_t limit : {std::size_t{1}, std::size_t{4} << 20, kLimit}) {
    CAPTURE(limit);
    const Segment segment = Segment::create(limit);
    std::uint64_t end = sizeof(Layout);
    const auto check = [&](const ArenaControl& arena) {
      REQUIRE(arena.offset == end);
      REQUIRE(arena.offset % kPageBytes == 0);
      REQUIRE(arena.stride >= kFirstArenaBytes);
      REQUIRE(arena.committed.load() == kFirstArenaBytes);
      end += arena.stride;
    };
    for (const ShardControl& shard : segment.layout().shards) check(shard.arena);
    for (const TicketControl& shard : segment.layout().tickets) check(shard.arena);
    CHECK(end == segment.size_bytes());
    struct stat status {};
    REQUIRE(::fstat(segment.fd(), &status) == 0);
    CHECK(static_cast<std::size_t>(status.st_blocks) * 512 == segment.used_bytes());
  }
}

TEST_CASE("Segment: attached twice it is the same memory at two addresses") {
  Segment one = Segment::create(kLimit);
  Result<Segment> attached = Segment::attach(copy_of(one.fd()));
  REQUIRE(attached.ok());
  Segment other = attached.take();
  CHECK(&one.layout() != &other.layout());
  CHECK(one.generation() == other.generation());
  CHECK(one.size_bytes() == other.size_bytes());

  role_slot(one, Role::listener).pid.store(42);
  role_inflight(one, Role::downloader).ticket.store(7);
  hello_inflight(one, 0).sequence.store(8);
  hello_inflight(one, kMaxPeers - 1).sequence.store(9);
  scan_words(one).wanted.fetch_add(1);
  traffic_words(one).sent.fetch_add(5);
  CHECK(role_slot(other, Role::listener).pid.load() == 42);
  CHECK(role_slot(other, Role::scanner).pid.load() == 0);
  CHECK(role_inflight(other, Role::downloader).ticket.load() == 7);
  CHECK(hello_inflight(other, 0).sequence.load() == 8);
  CHECK(hello_inflight(other, kMaxPeers - 1).sequence.load() == 9);
  CHECK(scan_words(other).wanted.load() == 1);
  CHECK(traffic_words(other).sent.load() == 5);
}

TEST_CASE("Segment: it outlives the attachment that made it, and moves") {
  Segment one = Segment::create(kLimit);
  const Generation generation = one.generation();
  Result<Segment> attached = Segment::attach(copy_of(one.fd()));
  REQUIRE(attached.ok());
  one = attached.take();
  CHECK(one.generation() == generation);
  const Segment moved = std::move(one);
  CHECK(moved.generation() == generation);
}

TEST_CASE("Segment: what is no segment is refused") {
  const std::array<std::byte, 8192> zeros{};
  for (const std::size_t size : {0u, 1u, 7u, 8u, 47u, 48u, 4096u, 8192u}) {
    CAPTURE(size);
    CHECK(says(refusal(memfd_with(std::span{zeros}.first(size), size)), "not a segment"));
  }
  Pipe pipe = make_pipe();
  CHECK(says(refusal(std::move(pipe.read_end)), "attach"));
  CHECK(says(refusal(UniqueFd{}), "attach"));
}

TEST_CASE("Segment: another layout, or one that is not ready, is refused and the error says so") {
  Segment segment = Segment::create(kLimit);
  Preamble& preamble = segment.layout().preamble;
  const Preamble good = preamble;
  const auto attempt = [&] { return refusal(copy_of(segment.fd())); };

  preamble.magic ^= 1;
  CHECK(says(attempt(), "not a segment"));
  preamble = good;
  preamble.version = kLayoutVersion + 1;
  CHECK(says(attempt(), "its layout is version 4, ours 3"));
  preamble.version = kLayoutVersion - 1;
  CHECK(says(attempt(), "its layout is version 2, ours 3"));
  preamble = good;
  preamble.layout_hash ^= 1;
  CHECK(says(attempt(), "another build"));
  preamble = good;
  preamble.state = SegmentState::making;
  CHECK(says(attempt(), "not ready"));
  preamble = good;
  preamble.size_bytes += kPageBytes;
  CHECK(says(attempt(), "cut short"));
  preamble = good;
  preamble.limit_bytes *= 2;
  CHECK(says(attempt(), "cut short"));
  preamble = good;
  CHECK(Segment::attach(copy_of(segment.fd())).ok());
}

TEST_CASE("Segment: one that was cut short is refused, and a real one can't be cut") {
  const Segment segment = Segment::create(kLimit);
  const auto preamble = std::as_bytes(std::span{&segment.layout().preamble, 1});
  for (const std::size_t size : {sizeof(Preamble), kPageBytes, sizeof(Layout),
                                 segment.size_bytes() - 1, segment.size_bytes() + 1}) {
    CAPTURE(size);
    CHECK(says(refusal(memfd_with(preamble, size)), "cut short"));
  }
  CHECK(::ftruncate(segment.fd(), 4096) == -1);
  CHECK(errno == EPERM);
}

TEST_CASE("Segment: every role and role state has a name") {
  CHECK(std::string{to_text(RoleState::stopped)} == "stopped");
  CHECK(std::string{to_text(RoleState::failed)} == "failed");
  CHECK(kRoleNames[static_cast<std::size_t>(Role::downloader)] == "downloader");
}

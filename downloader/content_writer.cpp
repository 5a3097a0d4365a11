#include "downloader/content_writer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <numeric>
#include <utility>

#include "common/base/assert.h"
#include "common/base/entry.h"
#include "common/base/os.h"
#include "common/share/hash.h"

namespace lefting::downloader {

namespace {

constexpr std::uint64_t kReadBack = 256u << 10;
constexpr std::uint64_t kWriteBack = 16u << 20;

}  // namespace

ContentWriter::ContentWriter(share::PartialFile& partial, std::uint64_t size_bytes, HashKind kind,
                             Note note)
    : partial_{partial}, size_{size_bytes}, note_{std::move(note)} {
  for (std::jthread& writer : writers_) writer = std::jthread{[this] { write_all(); }};
  hasher_ = std::jthread{[this, kind] { hash_all(kind); }};
}

ContentWriter::~ContentWriter() {
  {
    const std::lock_guard lock{mutex_};
    stop_ = true;
  }
  changed_.notify_all();
}

void ContentWriter::Unmap::operator()(std::byte* bytes) const { ::munmap(bytes, size); }

/// In huge pages, where the kernel has some: all threads go through all of it again and again, and
/// with small ones that takes a seventh more of the CPU.
ContentWriter::Memory ContentWriter::allocate(std::size_t size_bytes) {
  void* const memory =
      ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc{};
  ::madvise(memory, size_bytes, MADV_HUGEPAGE);
  return {static_cast<std::byte*>(memory), Unmap{size_bytes}};
}

void ContentWriter::make_room() {
  memory_ = allocate(kPieces * kMostPiece);
  for (std::size_t i = 0; i < kPieces; ++i) {
    slots_[i].bytes = {memory_.get() + i * kMostPiece, kMostPiece};
  }
}

std::span<std::byte> ContentWriter::room(std::size_t bytes) {
  LEFTING_ASSERT(bytes <= kMostPiece);
  if (!memory_) make_room();
  std::unique_lock lock{mutex_};
  Slot* slot = nullptr;
  changed_.wait(lock, [&] { return (slot = find_room()) != nullptr; });
  slot->stage = Stage::taken;
  return slot->bytes.first(bytes);
}

/// What is written makes room, unless it is hashed soon.
ContentWriter::Slot* ContentWriter::find_room() {
  for (const Stage stage : {Stage::taken, Stage::free}) {
    const auto at = std::ranges::find(slots_, stage, &Slot::stage);
    if (at != slots_.end()) return &*at;
  }
  const bool hash_waits = !is_hashing_ && !has_to_hash();
  const auto at = std::ranges::find_if(slots_, [&](const Slot& slot) {
    const bool is_near =
        slot.piece.offset >= hashed_ && slot.piece.offset - hashed_ < kPieces * slot.piece.length;
    return slot.stage == Stage::written && !slot.is_hashing && (hash_waits || !is_near);
  });
  return at == slots_.end() ? nullptr : &*at;
}

Status ContentWriter::put(const Piece& piece) {
  const std::lock_guard lock{mutex_};
  Slot& slot = *std::ranges::find(slots_, Stage::taken, &Slot::stage);
  slot.stage = Stage::filled;
  slot.is_hashed = false;
  slot.piece = piece;
  put_.push_back({.piece = piece, .slot = &slot});
  changed_.notify_all();
  return outcome();
}

Status ContentWriter::settle() {
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return put_.empty() && !is_noting_; });
  return outcome();
}

std::uint64_t ContentWriter::pending_bytes() {
  const std::lock_guard lock{mutex_};
  const auto add = [](std::uint64_t sum, const Put& put) { return sum + put.piece.length; };
  return std::accumulate(put_.begin(), put_.end(), std::uint64_t{0}, add);
}

Status ContentWriter::outcome() const {
  if (thrown_) std::rethrow_exception(thrown_);
  return failure_;
}

void ContentWriter::advance(std::uint64_t frontier) {
  {
    const std::lock_guard lock{mutex_};
    frontier_ = std::max(frontier_, frontier);
  }
  changed_.notify_all();
}

Result<ContentHash> ContentWriter::finish() {
  hasher_.join();
  return hash_;
}

ContentWriter::Put* ContentWriter::next_to_write() {
  const auto at = std::ranges::find_if(put_, [](const Put& put) { return put.slot != nullptr; });
  return at == put_.end() ? nullptr : &*at;
}

void ContentWriter::write_all() {
  std::unique_lock lock{mutex_};
  for (;;) {
    Put* put = nullptr;  // it stays where it is until it is noted
    changed_.wait(lock, [&] { return stop_ || (put = next_to_write()) != nullptr; });
    if (stop_) return;
    Slot& slot = *std::exchange(put->slot, nullptr);
    if (failure_ && !thrown_) {
      lock.unlock();
      const Status done = partial_.write(slot.bytes.first(slot.piece.length), slot.piece.offset);
      lock.lock();
      if (!done && failure_) failure_ = done;
    }
    put->is_written = true;
    slot.stage = slot.is_hashed ? Stage::free : Stage::written;
    note_written(lock);
    changed_.notify_all();
  }
}

/// One thread at a time: who comes meanwhile leaves its own to that one.
void ContentWriter::note_written(std::unique_lock<std::mutex>& lock) {
  if (is_noting_) return;
  is_noting_ = true;
  while (!put_.empty() && put_.front().is_written) {
    const Piece piece = put_.front().piece;
    put_.pop_front();
    if (!failure_ || thrown_) continue;
    changed_.notify_all();
    lock.unlock();
    Result<std::uint64_t> done{std::uint64_t{0}};
    std::exception_ptr thrown;
    try {
      done = note(piece);
    } catch (...) {
      thrown = std::current_exception();
    }
    lock.lock();
    thrown_ = thrown;
    if (done) frontier_ = std::max(frontier_, done.value());
    if (!done && failure_) failure_ = done.error();
  }
  is_noting_ = false;
}

Result<std::uint64_t> ContentWriter::note(const Piece& piece) {
  dirty_ += piece.length;
  // So that the sync at the end waits for less.
  if (dirty_ >= kWriteBack) partial_.start_sync();
  dirty_ %= kWriteBack;
  return note_(piece);
}

ContentWriter::Slot* ContentWriter::next_in_memory() {
  const auto at = std::ranges::find_if(slots_, [&](const Slot& slot) {
    const bool is_filled = slot.stage == Stage::filled || slot.stage == Stage::written;
    return is_filled && slot.piece.offset == hashed_;
  });
  return at == slots_.end() ? nullptr : &*at;
}

void ContentWriter::hash_all(HashKind kind) {
  share::Hasher hasher{kind};
  std::vector<std::byte> buffer(kReadBack);
  std::unique_lock lock{mutex_};
  while (hashed_ < size_) {
    changed_.wait(lock, [&] { return stop_ || has_to_hash(); });
    if (stop_) return;
    Slot* const slot = next_in_memory();
    const std::uint64_t at = hashed_;
    const std::uint64_t length =
        slot != nullptr ? slot->piece.length : std::min<std::uint64_t>(kReadBack, frontier_ - at);
    if (slot != nullptr) slot->is_hashing = true;
    is_hashing_ = true;
    lock.unlock();
    std::span<std::byte> bytes{buffer.data(), length};
    if (slot != nullptr) {
      bytes = slot->bytes.first(length);
    } else if (auto came = pread_all(partial_.fd(), bytes, at); !came || came.value() != length) {
      lock.lock();
      hash_ = came ? os_error(EIO, "read back") : came.error();
      hashed_ = size_;  // nothing waits for it
      break;
    }
    hasher.add(bytes);
    lock.lock();
    is_hashing_ = false;
    hashed_ += length;
    if (slot != nullptr) {
      slot->is_hashing = false;
      slot->is_hashed = true;
      if (slot->stage == Stage::written) slot->stage = Stage::free;
    }
    changed_.notify_all();
  }
  if (hash_) hash_ = hasher.finish();
  is_hashing_ = false;
  changed_.notify_all();
}

}  // namespace lefting::downloader

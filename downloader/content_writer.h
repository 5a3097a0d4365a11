#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

#include "common/base/content_hash.h"
#include "common/base/result.h"
#include "common/share/partial.h"

namespace lefting::downloader {

/// Content is asked for, received and written in pieces of at most so many bytes, however large the
/// blocks of the file are. Blocks have a whole number of them, but for a file's last.
inline constexpr std::uint64_t kMostPiece = 1u << 20;

/// Writes what is received of a file, and hashes the file from its beginning on, on threads of its
/// own beside the receiving.
///
/// 1. What is still in memory when its turn comes is hashed there; all else is read back.
/// 2. At most kPieces pieces are in memory.
/// 3. Pieces are noted in the order in which they were put, when all before are written, too.
/// One thread calls.
class ContentWriter {
 public:
  struct Piece {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool ends_block = false;  ///< all of its block has been put with it
  };

  /// Called for each piece that was written, by one thread at a time. Returns how many of the
  /// file's first bytes are in it now, as far as is known. Errors end the writing.
  using Note = std::function<Result<std::uint64_t>(const Piece&)>;

  /// `partial` must outlive it. `kind`: of its hash.
  ContentWriter(share::PartialFile& partial, std::uint64_t size_bytes, HashKind kind, Note note);
  ~ContentWriter();

  /// Room for a piece, of at most kMostPiece bytes, which put() takes; until then the same.
  /// Waits until there is some. Throws std::bad_alloc.
  std::span<std::byte> room(std::size_t bytes);
  /// The room holds this piece now. Errors: an earlier one could not be written, or noted; all
  /// after it is given up. Throws what `note` throws.
  Status put(const Piece& piece);
  /// Waits until all that was put is written and noted. Errors and exceptions as put().
  Status settle();
  /// Of what was put and is not written and noted.
  std::uint64_t pending_bytes();

  /// All bytes before `frontier` are in the file now.
  void advance(std::uint64_t frontier);
  /// Waits for the hash of the file. The frontier must be at its end.
  Result<ContentHash> finish();

 private:
  static constexpr std::size_t kPieces = 4;
  /// A disk that is asked for one write after the other does nothing between.
  static constexpr std::size_t kWriters = 2;
  enum class Stage { free, taken, filled, written };
  struct Unmap {
    std::size_t size;
    void operator()(std::byte* bytes) const;
  };
  using Memory = std::unique_ptr<std::byte, Unmap>;
  struct Slot {
    std::span<std::byte> bytes;
    Stage stage = Stage::free;
    bool is_hashing = false;
    bool is_hashed = false;
    Piece piece;
  };
  /// What was put and is not noted yet.
  struct Put {
    Piece piece;
    Slot* slot = nullptr;  ///< until somebody writes it
    bool is_written = false;
  };

  static Memory allocate(std::size_t size_bytes);
  void make_room();
  void write_all();
  Result<std::uint64_t> note(const Piece& piece);
  void hash_all(HashKind kind);
  // The mutex is held for these.
  Slot* find_room();
  Put* next_to_write();
  void note_written(std::unique_lock<std::mutex>& lock);
  Slot* next_in_memory();  ///< which begins where the hash is
  bool has_to_hash() { return next_in_memory() != nullptr || hashed_ < frontier_; }
  Status outcome() const;

  share::PartialFile& partial_;
  std::uint64_t size_;
  Note note_;
  Memory memory_;            ///< of all slots, from the first piece on
  std::uint64_t dirty_ = 0;  ///< written since the last start_sync(); of who notes
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::array<Slot, kPieces> slots_;
  std::deque<Put> put_;
  bool is_noting_ = false;
  Status failure_;
  std::exception_ptr thrown_;
  std::uint64_t frontier_ = 0;  ///< all before is in the file
  std::uint64_t hashed_ = 0;    ///< all before is in the hash
  bool is_hashing_ = false;
  bool stop_ = false;
  Result<ContentHash> hash_{ContentHash{}};

  std::array<std::jthread, kWriters> writers_;  // last: they use the others
  std::jthread hasher_;
};

}  // namespace lefting::downloader

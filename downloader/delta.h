#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/entry.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/share/cut.h"

namespace lefting::downloader {

/// How a new version is made of an old one and of what the old one has not.
struct Delta {
  /// Bytes of the old file that the new one has too.
  struct Run {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    std::uint64_t length = 0;
    bool operator==(const Run&) const = default;
  };
  /// Bytes that must be fetched: at most one request's.
  struct Missing {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool operator==(const Missing&) const = default;
  };
  std::vector<Run> runs;         ///< by `to`
  std::vector<Missing> missing;  ///< by `offset`
  std::size_t fetched = 0;       ///< so many of `missing`, in their order, are in the partial file
  bool copied = false;           ///< `runs` are in it too
  /// What came last, without a gap: the file's bytes from `came_from` to `came_to`.
  std::uint64_t came_from = 0;
  std::uint64_t came_to = 0;
  UniqueFd old_file;
  std::string from;   ///< its path
  Manifest manifest;  ///< of the new version

  bool has_all() const { return fetched == missing.size(); }
  std::uint64_t missing_bytes() const;
  /// Blocks that are in the partial file already (bit B of `done`) are neither fetched nor copied:
  /// they may be in the file's hash, and what is in that must not be written again. True: some
  /// would have been copied, so that it was not begun as this delta.
  bool leave_out(const std::vector<std::uint8_t>& done, std::uint64_t block_bytes);
  /// The piece has come. Returns which of the file's blocks are whole by it.
  std::vector<std::uint64_t> note_piece(const Missing& piece, std::uint64_t size_bytes);
  /// Where what has been fetched, or is to be, ends that begins at `offset`; else `offset`.
  std::uint64_t end_of_missing(std::uint64_t offset, std::uint64_t size_bytes) const;
};

/// Compares blocks, and does no I/O. Nothing where the old version has none of the new one's.
std::optional<Delta> plan_delta(std::span<const share::Block> old_blocks,
                                std::span<const share::Block> new_blocks);

/// Reads the old version, and looks for each block only at its own offset: that costs a quarter of
/// cutting it. Nothing where much in a row is not found so: it may have moved. Nor where `beat`,
/// called for each block, says false. Errors: it can't be read.
Result<std::optional<Delta>> plan_in_place(int old_file, std::span<const share::Block> new_blocks,
                                           const std::function<bool()>& beat);

}  // namespace lefting::downloader

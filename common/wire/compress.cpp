#include <zstd.h>
#include <zstd_errors.h>

#include <new>

#include "common/wire/entry_list.h"

namespace lefting::wire {

namespace {

constexpr int kLevel = 1;  // the wire is seldom slower than level 3

Error unpack_error(Code code, std::string why) {
  return {make_error_code(code), "decompress", {}, std::move(why)};
}

}  // namespace

std::string compress(std::string_view raw) {
  std::string packed(ZSTD_compressBound(raw.size()), '\0');
  const std::size_t size =
      ZSTD_compress(packed.data(), packed.size(), raw.data(), raw.size(), kLevel);
  if (ZSTD_isError(size)) throw std::bad_alloc{};  // the output fits: nothing else can fail
  packed.resize(size);
  return packed;
}

Result<std::string> decompress(std::span<const std::byte> packed, std::uint64_t raw_size,
                               std::uint64_t limit) {
  if (raw_size > limit) return unpack_error(Code::too_large, "raw_size is over the limit");
  const bool said = raw_size != 0;
  std::string raw(said ? raw_size : limit, '\0');
  const std::size_t size = ZSTD_decompress(raw.data(), raw.size(), packed.data(), packed.size());
  if (ZSTD_isError(size)) {
    const bool too_large = !said && ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall;
    return unpack_error(too_large ? Code::too_large : Code::bad_request, ZSTD_getErrorName(size));
  }
  if (said && size != raw_size) return unpack_error(Code::bad_request, "raw_size is not its size");
  raw.resize(size);
  return raw;
}

}  // namespace lefting::wire

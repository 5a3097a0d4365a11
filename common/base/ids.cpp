#include "common/base/ids.h"

namespace lefting {

namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

int hex_digit(char c) {
  const auto at = kHex.find(c);
  return at == kHex.npos ? -1 : static_cast<int>(at);
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t b : bytes) {
    out += kHex[b >> 4];
    out += kHex[b & 15];
  }
  return out;
}

std::string to_text(const DeviceId& device) {
  std::string out;
  unsigned buffer = 0;
  int bits = 0;
  std::size_t count = 0;
  const auto put = [&](unsigned five) {
    if (count != 0 && count % 4 == 0) out += '-';
    out += kBase32[five & 31];
    ++count;
  };
  for (const std::uint8_t b : device.bytes) {
    buffer = (buffer << 8) | b;
    for (bits += 8; bits >= 5; bits -= 5) put(buffer >> (bits - 5));
  }
  put(buffer << (5 - bits));  // 256 bits are 51 characters and one bit
  return out;
}

std::optional<DeviceId> parse_device_id(std::string_view text) {
  DeviceId device;
  unsigned buffer = 0;
  int bits = 0;
  std::size_t filled = 0;
  std::size_t count = 0;
  for (char c : text) {
    if (c == '-') continue;
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    const auto five = kBase32.find(c);
    if (five == kBase32.npos || ++count > 52) return std::nullopt;
    buffer = (buffer << 5) | static_cast<unsigned>(five);
    bits += 5;
    if (bits >= 8 && filled < device.bytes.size()) {
      bits -= 8;
      device.bytes[filled++] = static_cast<std::uint8_t>(buffer >> bits);
    }
  }
  if (count != 52) return std::nullopt;
  return device;
}

ShortId short_id(const DeviceId& device) {
  const std::string text = to_text(device);
  return *parse_short_id(text.substr(0, 4) + text.substr(5, 4));
}

std::string to_text(ShortId id) {
  std::string out(8, ' ');
  for (int i = 0; i < 8; ++i) {
    out[static_cast<std::size_t>(i)] = static_cast<char>((id.packed >> (8 * (7 - i))) & 0xff);
  }
  return out;
}

std::optional<ShortId> parse_short_id(std::string_view text) {
  if (text.size() != 8) return std::nullopt;
  ShortId id;
  for (const char c : text) {
    if (kBase32.find(c) == kBase32.npos) return std::nullopt;
    id.packed = (id.packed << 8) | static_cast<std::uint8_t>(c);
  }
  return id;
}

std::string index_text(IndexId id) {
  std::string out(16, '0');
  for (std::size_t i = 0; i < 16; ++i) out[15 - i] = kHex[(id >> (4 * i)) & 15];
  return out;
}

std::optional<IndexId> parse_index_id(std::string_view text) {
  if (text.size() != 16) return std::nullopt;
  IndexId id = 0;
  for (const char c : text) {
    const int digit = hex_digit(c);
    if (digit < 0) return std::nullopt;
    id = id * 16 + static_cast<unsigned>(digit);
  }
  return id;
}

std::string to_base64(std::string_view bytes) {
  std::string out;
  unsigned buffer = 0;
  int bits = 0;
  for (const char c : bytes) {
    buffer = (buffer << 8) | static_cast<std::uint8_t>(c);
    for (bits += 8; bits >= 6; bits -= 6) out += kBase64[(buffer >> (bits - 6)) & 63];
  }
  if (bits > 0) out += kBase64[(buffer << (6 - bits)) & 63];
  while (out.size() % 4 != 0) out += '=';
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string out;
  unsigned buffer = 0;
  int bits = 0;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  for (const char c : text) {
    const auto six = kBase64.find(c);
    if (six == kBase64.npos) return std::nullopt;
    buffer = (buffer << 6) | static_cast<unsigned>(six);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>((buffer >> bits) & 0xff);
    }
  }
  return out;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[i]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<std::uint8_t>(text[i + k]);
      std::uint8_t low = 0x80;
      std::uint8_t high = 0xbf;
      if (k == 1) {  // overlong forms, surrogates and beyond U+10FFFF
        if (lead == 0xe0) low = 0xa0;
        if (lead == 0xed) high = 0x9f;
        if (lead == 0xf0) low = 0x90;
        if (lead == 0xf4) high = 0x8f;
      }
      if (next < low || next > high) return false;
    }
    i += length;
  }
  return true;
}

}  // namespace lefting

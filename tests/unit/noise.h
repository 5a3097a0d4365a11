#pragma once

#include <cstddef>
#include <random>
#include <string>

namespace lefting::test {

/// Bytes that are like no others, but the same for the same seed.
inline std::string noise(std::size_t size, unsigned seed) {
  std::mt19937_64 random{seed};
  std::string out(size, '\0');
  for (char& byte : out) byte = static_cast<char>(random());
  return out;
}

}  // namespace lefting::test

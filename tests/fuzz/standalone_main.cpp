// Runs a fuzz target without libFuzzer: over the files named, then over mutations of built-in
// seeds, the same ones each time.
//
//   TARGET [--runs N] [FILE…]

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size);

namespace {

using Random = std::mt19937_64;

constexpr std::uint64_t kSeed = 20000;
constexpr std::size_t kMaxInputBytes = 1u << 16;

/// Examples of every message, bare and as frames: whichever a target reads.
std::vector<std::string> seeds() {
  const std::string device = "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA";
  const std::string hash(64, 'a');
  const std::string entry = R"({"path":"a/b.txt","size":5,"mtime":1700000000000000000,"hash":")" +
                            hash + R"(","mode":420,"version":{"ABCDEFGH":7,"BCDEFGH2":1}})";
  std::vector<std::string> texts = {
      "{}",
      "[]",
      R"({"operation":"hello","id":1,"protocol":1,"device":")" + device +
          R"(","name":"desk","port":20000,"index":{"id":"00000000000000ff","from":0,"to":9},)"
          R"("seen":{"id":"00000000000000fe","to":3},"more":true,"encoding":"zstd","raw_size":9,)"
          R"("accept":["zstd"]})",
      R"({"operation":"news","protocol":1,"device":")" + device + R"(","name":"x","port":1})",
      R"({"operation":"get_file","path":"a/b.txt","offset":5,"length":1048576,"hash":")" + hash +
          R"("})",
      R"({"operation":"get_file","path64":"Y2Fm6Q==","part":"manifest","first":1,"count":2})",
      R"({"operation":"get_file","path":"a","part":"entry"})",
      R"({"reply":"get_file","status":"ok","entry":)" + entry + "}",
      R"({"reply":"get_file","status":"ok","offset":1,"size":2,"mtime":-3,"hash":")" + hash +
          R"("})",
      R"({"reply":"news","status":"error","error":"busy","message":"m","retry_after_ms":5,)"
      R"("rejected":[{"path":"..","error":"e"}]})",
      "[" + entry + R"(,{"path64":"Y2Fm6Q==","size":0,"mtime":1,"deleted":true},{"path":".."}])",
  };
  const std::size_t count = texts.size();
  for (std::size_t i = 0; i < count; ++i) {
    const char size = static_cast<char>(std::min<std::size_t>(texts[i].size(), 127));
    texts.push_back(std::string{'\0', '\0', '\0', size, '\0', '\0', '\0', '\3'} +
                    texts[i].substr(0, 127) + "abc");
  }
  return texts;
}

/// One change: a bit, a byte, a piece left out, doubled, or taken from another seed.
void mutate(std::string& text, const std::vector<std::string>& all, Random& random) {
  if (text.empty()) text = all[random() % all.size()];
  const std::size_t at = random() % text.size();
  const std::size_t length = 1 + random() % std::min<std::size_t>(text.size() - at, 32);
  const std::string& other = all[random() % all.size()];
  static constexpr std::string_view kTokens[] = {
      "[",    "{",  "]",   "}",    "\"",      ",",       ":",
      "null", "-1", "1e9", "true", "\\ud800", "\\u0000", "18446744073709551616"};
  switch (random() % 7) {
    case 0:
      text[at] = static_cast<char>(text[at] ^ (1 << (random() % 8)));
      break;
    case 1:
      text[at] = static_cast<char>(random());
      break;
    case 2:
      text.erase(at, length);
      break;
    case 3:
      text.insert(at, text.substr(at, length));
      break;
    case 4:
      text.insert(at, kTokens[random() % std::size(kTokens)]);
      break;
    case 5:
      text.insert(at, other.substr(random() % other.size(), length));
      break;
    default:
      text.insert(at, std::string(random() % 64, text[at]));
  }
  if (text.size() > kMaxInputBytes) text.resize(kMaxInputBytes);
}

void run(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

}  // namespace

int main(int argc, char** argv) {
  long runs = 10000;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--runs" && i + 1 < argc) {
      runs = std::strtol(argv[++i], nullptr, 10);
      continue;
    }
    std::ifstream file{argument, std::ios::binary};
    if (!file) {
      std::cerr << argument << ": cannot be read\n";
      return 1;
    }
    run({std::istreambuf_iterator<char>{file}, {}});
  }
  const std::vector<std::string> all = seeds();
  for (const std::string& seed : all) run(seed);
  Random random{kSeed};
  for (long i = 0; i < runs; ++i) {
    std::string text = all[random() % all.size()];
    for (std::size_t changes = 1 + random() % 8; changes > 0; --changes) {
      mutate(text, all, random);
    }
    run(text);
  }
  std::cout << runs << " mutations of " << all.size() << " seeds\n";
  return 0;
}

// docs/PROTOCOL.md and docs/OPERATIONS.md against the code: their tables and the examples in hex.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/entry.h"
#include "common/base/settings.h"
#include "common/net/address.h"
#include "common/net/connection.h"
#include "common/wire/entry_list.h"
#include "common/wire/entry_reader.h"
#include "common/wire/frame.h"
#include "common/wire/messages.h"

using namespace lefting;
using namespace lefting::wire;

namespace {

std::vector<std::string> lines_of(const std::string& page) {
  std::ifstream in{std::filesystem::path{LEFTING_SOURCE_DIR} / "docs" / page};
  REQUIRE(in.is_open());
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(std::move(line));
  return lines;
}

std::string trim(std::string text) {
  text.erase(0, text.find_first_not_of(' '));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

/// `text` without the backquotes around it.
std::string bare(const std::string& text) {
  return text.size() >= 2 && text.front() == '`' ? text.substr(1, text.size() - 2) : text;
}

/// The rows of the first table after the heading, without its first two lines.
std::vector<std::vector<std::string>> table_after(const std::vector<std::string>& lines,
                                                  const std::string& heading) {
  auto at = std::find(lines.begin(), lines.end(), heading);
  REQUIRE(at != lines.end());
  while (at != lines.end() && !at->starts_with("|")) ++at;
  std::vector<std::vector<std::string>> rows;
  for (; at != lines.end() && at->starts_with("|"); ++at) {
    std::vector<std::string>& cells = rows.emplace_back();
    for (std::size_t begin = 1; begin < at->size();) {
      const std::size_t end = std::min(at->find('|', begin), at->size());
      cells.push_back(trim(at->substr(begin, end - begin)));
      begin = end + 1;
    }
  }
  REQUIRE(rows.size() > 2);
  rows.erase(rows.begin(), rows.begin() + 2);
  return rows;
}

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  CAPTURE(text);
  REQUIRE(fault == std::errc{});
  REQUIRE(end == text.data() + text.size());
  return value;
}

/// True if a list takes an entry with `more` in it.
bool takes_entry(const std::string& more) {
  std::vector<Rejected> rejected;
  const auto read = decode_entry_list(R"([{"path":"a","size":1,"mtime":1)" + more + "}]",
                                      [](Entry&&) {}, rejected);
  return read.ok() && rejected.empty();
}

std::string devices(std::uint64_t count) {
  std::string text;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string id = "AAAAAA";
    id += static_cast<char>('A' + i / 26);
    id += static_cast<char>('A' + i % 26);
    text += fmt::format(R"({}"{}":1)", i == 0 ? "" : ",", id);
  }
  return R"(,"version":{)" + text + "}";
}

std::string counter(std::uint64_t value) {
  return fmt::format(R"(,"version":{{"AAAAAAAA":{}}})", value);
}

std::string long_path(std::uint64_t bytes) {
  std::string path;
  while (path.size() + 100 < bytes) path += std::string(99, 'p') + "/";
  return path + std::string(bytes - path.size(), 'p');
}

std::size_t name_bytes_taken(std::uint64_t sent) {
  Request hello;
  hello.greeting.device = DeviceId{};
  std::string header = encode_request(hello);
  const std::string empty = R"("name":"")";
  header.replace(header.find(empty), empty.size(),
                 fmt::format(R"("name":"{}")", std::string(sent, 'n')));
  const auto decoded = decode_request(header);
  REQUIRE(std::holds_alternative<Request>(decoded));
  return std::get<Request>(decoded).greeting.name.size();
}

using Limit = std::function<bool(std::uint64_t documented)>;

Limit is(std::uint64_t value) {
  return [value](std::uint64_t documented) { return documented == value; };
}

/// A limit that no header names: what it says is taken, and one more is not.
Limit up_to(std::function<bool(std::uint64_t)> taken) {
  return [taken](std::uint64_t documented) { return taken(documented) && !taken(documented + 1); };
}

std::map<std::string, Limit> limits() {
  const net::Timeouts timeouts;
  const auto ms = [](milliseconds time) { return static_cast<std::uint64_t>(time.count()); };
  return {
      {"kProtocol", is(kProtocol)},
      {"kPreambleBytes", is(kPreambleBytes)},
      {"kMinHeaderBytes", is(kMinHeaderBytes)},
      {"kMaxHeaderBytes", is(kMaxHeaderBytes)},
      {"kMaxDataBytes", is(kMaxDataBytes)},
      {"kMaxBlockLength", is(kMaxBlockLength)},
      {"kMaxJsonDepth", is(kMaxJsonDepth)},
      {"kMaxRejected", is(kMaxRejected)},
      {"kMaxRejectedPathBytes", is(kMaxRejectedPathBytes)},
      {"kMaxPathBytes", up_to([](auto bytes) { return !path_fault(long_path(bytes)); })},
      {"kMaxComponentBytes",
       up_to([](auto bytes) { return !path_fault(std::string(bytes, 'c')); })},
      {"kMaxDevices", up_to([](auto count) { return takes_entry(devices(count)); })},
      {"kMaxCounter", up_to([](auto value) { return takes_entry(counter(value)); })},
      {"kMaxMode", up_to([](auto mode) { return takes_entry(fmt::format(",\"mode\":{}", mode)); })},
      {"kMaxNameBytes", up_to([](auto bytes) { return name_bytes_taken(bytes) == bytes; })},
      {"kMaxPeers", is(kMaxPeers)},
      {"kDefaultPort", is(net::kDefaultPort)},
      {"Timeouts::connect", is(ms(timeouts.connect))},
      {"Timeouts::idle", is(ms(timeouts.idle))},
      {"Timeouts::progress", is(ms(timeouts.progress))},
      {"Timeouts::least_bytes_a_second", is(timeouts.least_bytes_a_second)},
      {"Settings::max_connections", is(Settings{}.max_connections)},
  };
}

/// An example of the page: one frame, and what it says.
struct Example {
  std::string title;
  std::string kind;  ///< request, full-request, full-reply or bad
  std::vector<std::byte> bytes;
  std::vector<std::string> decoded;
};

/// `0010  6d 65 …  |me…|`: checks the text between the bars, adds the bytes.
void take_hex_line(const std::string& line, std::vector<std::byte>& bytes) {
  CAPTURE(line);
  REQUIRE(line.substr(0, 4) == fmt::format("{:04x}", bytes.size()));
  const std::size_t bar = line.find('|');
  REQUIRE(bar != line.npos);
  std::string text;
  for (std::size_t at = 6; at + 1 < bar && line[at] != ' '; at += 3) {
    unsigned value = 0;
    REQUIRE(std::from_chars(line.data() + at, line.data() + at + 2, value, 16).ec == std::errc{});
    bytes.push_back(static_cast<std::byte>(value));
    text += value >= 0x20 && value < 0x7f ? static_cast<char>(value) : '.';
  }
  CHECK(line.substr(bar) == "|" + text + "|");
}

std::vector<Example> examples() {
  std::vector<Example> out;
  std::string title;
  enum class In { text, hex, decoded } in = In::text;
  for (const std::string& line : lines_of("PROTOCOL.md")) {
    if (line.starts_with("### ")) title = line.substr(4);
    if (line.starts_with("```hex ")) {
      out.push_back({title, line.substr(7), {}, {}});
      in = In::hex;
    } else if (line == "```decoded") {
      REQUIRE_FALSE(out.empty());
      in = In::decoded;
    } else if (line.starts_with("```")) {
      in = In::text;
    } else if (in == In::hex) {
      take_hex_line(line, out.back().bytes);
    } else if (in == In::decoded) {
      out.back().decoded.push_back(line);
    }
  }
  return out;
}

/// What a decoded message says, a line for each field, as the page has it.
class Lines {
 public:
  void add(const std::string& name, const std::string& value) {
    lines_.push_back(value.empty() ? name + ":" : name + ": " + value);
  }
  void add(const std::string& name, std::uint64_t value) { add(name, std::to_string(value)); }
  std::vector<std::string> take() { return std::move(lines_); }

  void add_greeting(const Greeting& greeting) {
    add("protocol", greeting.protocol);
    add("device", to_text(greeting.device.value()));
    add("name", greeting.name);
    add("port", greeting.port);
    if (greeting.index) {
      add("index", fmt::format("{} from {} to {}", index_text(greeting.index->id),
                               greeting.index->from, greeting.index->to));
    }
    if (greeting.seen) add_seen(*greeting.seen);
    add("more", greeting.more ? "true" : "false");
    add("encoding", greeting.encoding == Encoding::zstd ? "zstd" : "identity");
    if (greeting.accepts_zstd) add("accept", "zstd");
  }
  void add_seen(const Seen& seen) {
    add("seen", fmt::format("{} to {}", index_text(seen.id), seen.to));
  }
  void add_entry(const Entry& entry) {
    std::string text = fmt::format("{}, size {}, mtime {}, mode {:o}", entry.path, entry.size,
                                   entry.mtime_ns, entry.mode);
    if (entry.hash) text += ", hash " + to_text(*entry.hash);
    for (const VersionCounter& one : entry.version) {
      text += fmt::format(", version {} {}", to_text(one.device), one.counter);
    }
    add("entry", text);
  }
  void add_data(std::span<const std::byte> data) {
    std::string text;
    for (const std::byte byte : data) {
      const char c = static_cast<char>(byte);
      text += c == '\n' ? std::string{"\\n"} : std::string{c};
    }
    if (!text.empty()) add("data", text);
  }

 private:
  std::vector<std::string> lines_;
};

std::vector<std::string> describe_request(const Request& request, const Frame& frame) {
  Lines lines;
  lines.add("operation", std::string{to_text(request.operation)});
  if (request.id) lines.add("id", std::to_string(*request.id));
  if (request.operation == Operation::get_file) {
    const GetFile& file = request.file;
    lines.add("path", file.path);
    lines.add("part", file.part == Part::block ? "block" : "other");
    lines.add("offset", file.offset);
    lines.add("length", file.length);
    if (file.hash) lines.add("hash", to_text(*file.hash));
    lines.add_data(frame.data);
    return lines.take();
  }
  lines.add_greeting(request.greeting);
  std::vector<Rejected> rejected;
  const std::string_view page{reinterpret_cast<const char*>(frame.data.data()), frame.data.size()};
  const auto read = decode_entry_list(
      page, [&](Entry&& entry) { lines.add_entry(entry); }, rejected);
  CHECK(read.ok());
  CHECK(rejected.empty());
  return lines.take();
}

std::vector<std::string> describe_reply(const Reply& reply, const Frame& frame) {
  Lines lines;
  lines.add("reply", reply.operation);
  if (reply.id) lines.add("id", std::to_string(*reply.id));
  lines.add("status", reply.error ? "error" : "ok");
  if (reply.error) {
    lines.add("error", std::string{to_text(*reply.error)});
    lines.add("message", reply.message);
  } else if (reply.operation == "get_file") {
    lines.add("offset", reply.offset);
    lines.add("size", reply.size);
    lines.add("mtime", std::to_string(reply.mtime_ns));
    if (reply.hash) lines.add("hash", to_text(*reply.hash));
  } else if (reply.greeting.seen) {
    lines.add_seen(*reply.greeting.seen);
  }
  lines.add_data(frame.data);
  return lines.take();
}

/// Checks an example that is a whole frame. `full`: as Lefting itself writes it.
void check_frame(const Example& example) {
  std::span<const std::byte> left{example.bytes};
  const auto taken = take_frame(left);
  REQUIRE(taken.ok());
  REQUIRE(taken.value().has_value());
  CHECK(left.empty());
  const Frame& frame = *taken.value();
  if (example.kind == "full-reply") {
    const auto reply = decode_reply(frame.header);
    REQUIRE(reply.ok());
    CHECK(describe_reply(reply.value(), frame) == example.decoded);
    CHECK(encode_reply(reply.value()) == frame.header);
    return;
  }
  const auto request = decode_request(frame.header);
  REQUIRE(std::holds_alternative<Request>(request));
  CHECK(describe_request(std::get<Request>(request), frame) == example.decoded);
  if (example.kind == "full-request") {
    CHECK(encode_request(std::get<Request>(request)) == frame.header);
  }
}

}  // namespace

TEST_CASE("docs/PROTOCOL.md: each limit of the table is the code's, and none is missing") {
  const auto known = limits();
  std::set<std::string> seen;
  for (const auto& row : table_after(lines_of("PROTOCOL.md"), "## Limits")) {
    REQUIRE(row.size() == 4);
    const std::string name = bare(row[2]);
    CAPTURE(name);
    REQUIRE(known.contains(name));
    CHECK(known.at(name)(number(row[1])));
    seen.insert(name);
  }
  CHECK(seen.size() == known.size());
}

TEST_CASE("docs/PROTOCOL.md: each example is the frame that it says it is") {
  std::set<std::string> kinds;
  for (const Example& example : examples()) {
    CAPTURE(example.title);
    kinds.insert(example.kind);
    if (example.kind != "bad") {
      check_frame(example);
      continue;
    }
    std::span<const std::byte> left{example.bytes};
    const auto taken = take_frame(left);
    REQUIRE_FALSE(taken.ok());
    const auto code = static_cast<Code>(taken.error().code.value());
    CHECK(example.decoded == std::vector{"error: " + std::string{to_text(code)}});
  }
  CHECK(kinds == std::set<std::string>{"bad", "full-reply", "full-request", "request"});
}

TEST_CASE("docs/PROTOCOL.md: the answer to the bad frame is the one that is given") {
  const auto all = examples();
  const auto bad = std::find_if(all.begin(), all.end(),
                                [](const Example& example) { return example.kind == "bad"; });
  REQUIRE(bad + 1 < all.end());
  std::span<const std::byte> left{bad->bytes};
  const auto error = take_frame(left).error();
  BadRequest request;
  request.code = static_cast<Code>(error.code.value());
  request.message = error.text();
  CHECK(encode_frame(encode_reply(error_reply(request))) == (bad + 1)->bytes);
}

TEST_CASE("docs/PROTOCOL.md: its error codes are the code's, in order") {
  std::vector<std::string> documented;
  for (const auto& row : table_after(lines_of("PROTOCOL.md"), "## Requests and replies")) {
    documented.push_back(bare(row.at(0)));
  }
  std::vector<std::string> ours;
  for (int i = 1; i <= static_cast<int>(Code::internal); ++i) {
    ours.emplace_back(to_text(static_cast<Code>(i)));
  }
  CHECK(documented == ours);
}

TEST_CASE("docs/OPERATIONS.md: its settings are the table's: keys, kinds, defaults and limits") {
  std::map<std::string, std::string> defaults;
  for (const std::string& flag : setting_flags(Settings{})) {
    const auto equals = flag.find('=');
    std::string key = flag.substr(2, equals - 2);
    std::replace(key.begin(), key.end(), '-', '_');
    defaults[key] = flag.substr(equals + 1);
  }
  const auto rows = table_after(lines_of("OPERATIONS.md"), "## Settings");
  REQUIRE(rows.size() == setting_table().size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const SettingInfo& info = setting_table()[i];
    REQUIRE(rows[i].size() == 5);
    CAPTURE(info.key);
    CHECK(bare(rows[i][0]) == info.key);
    CHECK(rows[i][1] == info.kind);
    CHECK(bare(rows[i][2]) == defaults[std::string{info.key}]);
    if (info.kind != "number") continue;
    const std::string& range = rows[i][3];
    const std::uint64_t least = number(range.substr(0, range.find(' ')));
    const std::uint64_t most = number(range.substr(range.rfind(' ') + 1));
    Settings settings;
    const auto takes = [&](std::uint64_t value) {
      return set_setting(settings, info.key, std::to_string(value)).ok();
    };
    CHECK(takes(least));
    CHECK(takes(most));
    CHECK_FALSE(takes(least - 1));
    CHECK_FALSE(takes(most + 1));
  }
}

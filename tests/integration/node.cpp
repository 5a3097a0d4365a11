#include "tests/integration/node.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <random>

#include "common/base/os.h"

namespace lefting::test {

namespace fs = std::filesystem;

Node::Node(bool plain) : plain_{plain} { fs::create_directory(folder_ / "share"); }

Node::~Node() {
  if (!pids().empty()) run("supervisor", {"stop", "--state", state()});
  kill_all();
}

std::string Node::share(const std::string& path) const { return folder_ / ("share/" + path); }

std::string Node::id() {
  if (id_.empty()) {
    id_ = supervisor({"id"}).out;
    while (!id_.empty() && id_.back() == '\n') id_.pop_back();
  }
  return id_;
}

Ended Node::supervisor(std::vector<std::string> arguments) {
  arguments.push_back("--state");
  arguments.push_back(state());
  return run("supervisor", arguments);
}

Ended Node::try_start(const std::vector<std::string>& peers, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"start", "--share", share(), "--listen", address()};
  if (plain_) arguments.push_back("--plain");
  for (const std::string& peer : peers) {
    arguments.push_back("--peer");
    arguments.push_back(peer);
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  return supervisor(arguments);
}

void Node::start(const std::vector<std::string>& peers, const std::vector<std::string>& more) {
  const Ended started = try_start(peers, more);
  CAPTURE(started.err);
  REQUIRE(started.code == 0);
}

void Node::stop() {
  const Ended stopped = supervisor({"stop"});
  CAPTURE(stopped.err);
  REQUIRE(stopped.code == 0);
}

void Node::signal_supervisor(int signal) {
  for (const int pid : pids_with("supervisor start")) {
    const auto mine = pids();
    if (std::find(mine.begin(), mine.end(), pid) != mine.end()) send_signal(pid, signal);
  }
}

void Node::kill_all() {
  // So nothing is started again, and nobody sees the supervisor go and leaves in order.
  stand_still();
  for (auto left = pids(); !left.empty(); left = pids()) {
    std::ranges::reverse(left);  // the supervisor, the oldest, last
    for (const int pid : left) send_signal(pid, SIGKILL);
  }
}

int Node::role_pid(const std::string& role) {
  const rapidjson::Document state_now = dump();
  for (const auto& one : state_now["roles"].GetArray()) {
    if (text_of(one, "role") == role) return static_cast<int>(number_of(one, "pid"));
  }
  return 0;
}

std::string Node::dump_text() { return run("dumpstate", {"--json", "--state", state()}).out; }

rapidjson::Document Node::dump() {
  rapidjson::Document document;
  document.Parse(dump_text().c_str());
  REQUIRE_FALSE(document.HasParseError());
  REQUIRE(document.IsObject());
  return document;
}

void Node::write(const std::string& path, const std::string& content) {
  fs::create_directories(fs::path{share(path)}.parent_path());
  std::ofstream out{share(path), std::ios::binary};
  out << content;
}

void Node::place(const std::string& path, const std::string& content) {
  { std::ofstream{folder_ / "placed", std::ios::binary} << content; }
  fs::create_directories(fs::path{share(path)}.parent_path());
  fs::rename(folder_ / "placed", share(path));
}

std::string Node::read(const std::string& path) const {
  auto content = read_file(share(path));  // a folder or nothing reads as ""
  return content ? content.take() : std::string{};
}

std::vector<std::string> Node::files(const std::string& folder) const {
  std::vector<std::string> out;
  std::error_code vanished;
  fs::directory_iterator item{share(folder), vanished};
  for (; !vanished && item != fs::directory_iterator{}; item.increment(vanished)) {
    std::error_code gone;
    const std::string path = folder + item->path().filename().string();
    if (item->is_symlink(gone)) continue;
    if (item->is_regular_file(gone)) out.push_back(path);
    if (!item->is_directory(gone)) continue;
    std::ranges::move(files(path + "/"), std::back_inserter(out));
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> Node::tree() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& path : files()) {
    if (path == ".share.lefting" || path.starts_with(".lefting-trash/")) continue;
    out.emplace_back(path, read(path));
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string text_of(const rapidjson::Value& object, const char* key) {
  const auto it = object.FindMember(key);
  return it != object.MemberEnd() && it->value.IsString() ? it->value.GetString() : "";
}

std::uint64_t number_of(const rapidjson::Value& object, const char* key) {
  const auto it = object.FindMember(key);
  return it != object.MemberEnd() && it->value.IsUint64() ? it->value.GetUint64() : 0;
}

std::uint64_t last_sequence(const rapidjson::Document& dump) {
  std::uint64_t last = 0;
  for (const auto& file : dump["files"].GetArray()) {
    last = std::max(last, number_of(file, "sequence"));
  }
  return last;
}

std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937_64 random{seed};
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t word = random();
    std::copy_n(reinterpret_cast<const char*>(&word), std::min<std::size_t>(8, size - i),
                out.data() + i);
  }
  return out;
}

}  // namespace lefting::test

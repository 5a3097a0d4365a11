#include "common/share/share.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/base/os.h"
#include "common/share/hash.h"
#include "common/share/path.h"
#include "common/share/traverse.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using namespace lefting::share;
namespace fs = std::filesystem;

namespace {

Share open_share(const test::TempFolder& folder) {
  auto share = Share::open(folder.path());
  REQUIRE(share.ok());
  return share.take();
}

void write(const std::string& path, const std::string& content) { std::ofstream{path} << content; }

}  // namespace

TEST_CASE("share: no path leads out through a symlink, whatever is asked for") {
  const test::TempFolder outside;
  const test::TempFolder folder;
  write(outside / "secret", "secret");
  fs::create_directory(folder / "d");
  fs::create_symlink(outside.path(), folder / "out");
  fs::create_symlink(outside / "secret", folder / "file");
  fs::create_symlink("..", folder / "d/up");
  fs::create_symlink("secret", outside / "loop");
  const Share share = open_share(folder);
  for (const char* path :
       {"out/secret", "file", "d/up/d", "out", "../x", "d/../../x", "/etc/passwd"}) {
    CAPTURE(path);
    CHECK_FALSE(share.open_file(path).ok());
    CHECK_FALSE(share.open_folder(path).ok());
  }
  CHECK_FALSE(share.place("out/new", true).ok());
  CHECK_FALSE(share.place("out/deep/new", true).ok());
  CHECK_FALSE(fs::exists(outside / "deep"));
  const auto link = share.stat("file");
  REQUIRE(link.ok());
  REQUIRE(link.value().has_value());
  CHECK(link.value()->type == FileType::other);
}

TEST_CASE("share: a FIFO is refused and waits for nobody") {
  const test::TempFolder folder;
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  const Share share = open_share(folder);
  const auto opened = share.open_file("fifo");
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.error().code.value() == ELOOP);
}

TEST_CASE("share: what is not there is nothing, and no error") {
  const test::TempFolder folder;
  write(folder / "file", "x");
  const Share share = open_share(folder);
  for (const char* path : {"no", "no/no", "file/no"}) {
    CAPTURE(path);
    const auto stat = share.stat(path);
    REQUIRE(stat.ok());
    CHECK_FALSE(stat.value().has_value());
  }
}

TEST_CASE("share: a path of 4096 bytes can be made, looked at, opened and pruned") {
  const test::TempFolder folder;
  const Share share = open_share(folder);
  std::string path;
  while (path.size() + 201 <= 4090) path += std::string(200, 'd') + "/";
  path += std::string(4096 - path.size(), 'f');
  REQUIRE(path.size() == 4096);
  const auto place = share.place(path, true);
  REQUIRE(place.ok());
  const UniqueFd made{::openat(place.value().folder.get(), place.value().name.c_str(),
                               O_CREAT | O_WRONLY | O_CLOEXEC, 0600)};
  REQUIRE(made);
  CHECK(share.open_file(path).ok());
  CHECK(share.stat(path).value().has_value());
  REQUIRE(::unlinkat(place.value().folder.get(), place.value().name.c_str(), 0) == 0);
  share.prune(split_path(path).folder);
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("share: new folders are synced, also many of them, and where they are gone by then") {
  const test::TempFolder folder;
  const Share share = open_share(folder);
  CHECK(share.sync_new_folders().ok());
  for (int i = 0; i < 100; ++i) {
    const std::string path = "a" + std::to_string(i) + "/b/c/f";
    REQUIRE(share.place(path, true).ok());
    CHECK(fs::is_directory(folder / std::string{split_path(path).folder}));
  }
  share.prune("a3/b/c");
  CHECK_FALSE(fs::exists(folder / "a3"));
  CHECK(share.sync_new_folders().ok());
}

TEST_CASE("share: prune stops at the first folder that is not empty") {
  const test::TempFolder folder;
  fs::create_directories(folder / "a/b/c");
  write(folder / "a/keep", "");
  const Share share = open_share(folder);
  share.prune("a/b/c");
  CHECK(fs::exists(folder / "a"));
  CHECK_FALSE(fs::exists(folder / "a/b"));
}

TEST_CASE("share: check notices that the folder is gone, or another") {
  const test::TempFolder folder;
  const std::string path = folder / "share";
  fs::create_directory(path);
  const auto share = Share::open(path);
  REQUIRE(share.ok());
  CHECK(share.value().check().ok());
  fs::rename(path, folder / "moved");
  CHECK_FALSE(share.value().check().ok());
  fs::create_directory(path);
  const auto another = share.value().check();
  REQUIRE_FALSE(another.ok());
  CHECK(another.error().text().find("another folder") != std::string::npos);
}

TEST_CASE(
    "traverse: every regular file by its long path; links, devices and partial files are counted") {
  const test::TempFolder folder;
  fs::create_directories(folder / "a/.hidden/c");
  fs::create_directories(folder / "empty");
  const std::string odd = "a/\xff\n*";
  for (const std::string& path : {std::string{"top"}, std::string{"a/.hidden/c/deep"}, odd,
                                  std::string{".dot"}, std::string{"a/x.lefting"}}) {
    write(folder / path, path);
  }
  fs::create_symlink("top", folder / "link");
  fs::create_directory_symlink("a", folder / "linked folder");
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  std::vector<std::string> files;
  std::vector<std::string> folders;
  std::vector<std::string> partials;
  Visitor visitor;
  visitor.file = [&](const std::string& path, const FileStat& stat) {
    CHECK(stat.size == path.size());
    files.push_back(path);
    return true;
  };
  visitor.folder = [&](const std::string& path, int) { folders.push_back(path); };
  visitor.trouble = [](const Error& error, const std::string&) { FAIL(error.text()); };
  visitor.partial = [&](const std::string& path) { partials.push_back(path); };
  const TraversalCounts counts = traverse(open_share(folder), "", visitor);
  std::sort(files.begin(), files.end());
  std::sort(folders.begin(), folders.end());
  CHECK(files == std::vector<std::string>{".dot", "a/.hidden/c/deep", odd, "top"});
  CHECK(folders == std::vector<std::string>{"", "a", "a/.hidden", "a/.hidden/c", "empty"});
  CHECK(partials == std::vector<std::string>{"a/x.lefting"});
  CHECK(counts.files == 4);
  CHECK(counts.skipped == 3);
  CHECK(counts.unreadable == 0);
}

TEST_CASE("traverse: it ends when the visitor says so") {
  const test::TempFolder folder;
  for (int i = 0; i < 10; ++i) write(folder / std::to_string(i), "");
  int met = 0;
  Visitor visitor;
  visitor.file = [&](const std::string&, const FileStat&) { return ++met < 3; };
  visitor.trouble = [](const Error&, const std::string&) {};
  traverse(open_share(folder), "", visitor);
  CHECK(met == 3);
}

TEST_CASE("hash_file: the hashes of the content, whatever its length") {
  const test::TempFolder folder;
  const auto check = [&](const std::string& content, const char* sha256, const char* blake3) {
    write(folder / "f", content);
    const UniqueFd fd{::open((folder / "f").c_str(), O_RDONLY | O_CLOEXEC)};
    const auto hashes = hash_file(fd.get(), HashKinds::both(), [] { return true; });
    REQUIRE(hashes.ok());
    CHECK(to_text(hashes.value().sha256.value()) == sha256);
    CHECK(to_text(hashes.value().blake3.value()) == blake3);
    for (const HashKind kind : {HashKind::sha256, HashKind::blake3}) {
      const auto hash = hash_file(fd.get(), kind, [] { return true; });
      REQUIRE(hash.ok());
      CHECK(hash.value() == hashes.value().of(kind));
      CHECK(hash_bytes(std::as_bytes(std::span{content}), kind) == hash.value());
    }
  };
  check("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  check("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
  std::string long_one(102'400, '\0');  // of BLAKE3's own test vectors
  for (std::size_t i = 0; i < long_one.size(); ++i) long_one[i] = static_cast<char>(i % 251);
  check(long_one, "74588b7f0bcc354ac14d9cf199fa3a20c05f0c7293b9075b2f2e146e718de800",
        "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085");
}

TEST_CASE("hash_file: it stops when told to, and the next hash is not spoilt") {
  const test::TempFolder folder;
  write(folder / "big", std::string(17u << 20, 'x'));
  write(folder / "abc", "abc");
  const UniqueFd big{::open((folder / "big").c_str(), O_RDONLY | O_CLOEXEC)};
  const UniqueFd small{::open((folder / "abc").c_str(), O_RDONLY | O_CLOEXEC)};
  const auto stopped = hash_file(big.get(), HashKinds::both(), [] { return false; });
  REQUIRE_FALSE(stopped.ok());
  CHECK(stopped.error().code.value() == ECANCELED);
  const auto hashes = hash_file(small.get(), HashKinds::both(), [] { return true; }).value();
  CHECK(to_text(*hashes.sha256).substr(0, 8) == "ba7816bf");
  CHECK(to_text(*hashes.blake3).substr(0, 8) == "6437b3ac");
}

TEST_CASE("partial_name: ends in .lefting, never longer than 255 bytes, distinct for long names") {
  for (std::size_t length = 1; length <= 255; ++length) {
    const std::string name = partial_name(std::string(length, 'n'));
    CHECK(is_partial_name(name));
    CHECK(whole_name(name).value_or(std::string(length, 'n')) == std::string(length, 'n'));
    CHECK(whole_name(name).has_value() == (length < 247));
    CHECK(name.size() <= 255);
  }
  CHECK(partial_name("a.txt") == "a.txt.lefting");
  CHECK_FALSE(whole_name("a.txt").has_value());
  CHECK(partial_name(std::string(254, 'n') + "a") != partial_name(std::string(254, 'n') + "b"));
}

TEST_CASE("share: what is mounted in it is not entered") {
  Share share = Share::open("/").take();  // /proc is a mount everywhere
  for (const Error& error : {share.open_folder("proc").error(), share.stat("proc/self").error(),
                             share.place("proc/x", false).error()}) {
    CHECK(error.code.value() == EXDEV);
    CHECK(error.text().find("mounted") != std::string::npos);
  }
}

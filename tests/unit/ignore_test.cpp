#include "common/share/ignore.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/temp_folder.h"

using namespace lefting;
using namespace lefting::share;
namespace fs = std::filesystem;

namespace {

bool ignores(std::string_view rules, std::string_view path) {
  const bool is_folder = path.ends_with('/');
  if (is_folder) path.remove_suffix(1);
  return IgnoreRules{rules}.covers(path, is_folder);
}

struct Folder {
  test::TempFolder folder;
  Share share = Share::open(folder / "").take();
  IgnoreFile file{share};

  void write(const std::string& text) const {
    std::ofstream{folder / std::string{kIgnoreName}} << text;
  }
};

}  // namespace

TEST_CASE("ignore: a pattern without a slash is of a name, anywhere") {
  CHECK(ignores("foo", "foo"));
  CHECK(ignores("foo", "a/b/foo"));
  CHECK(ignores("foo", "a/foo/b"));
  CHECK_FALSE(ignores("foo", "foo2"));
  CHECK_FALSE(ignores("foo", "a/xfoo"));
  CHECK(ignores("*.o", "a/b.o"));
  CHECK(ignores("*.o", ".o"));
  CHECK_FALSE(ignores("*.o", "b.oo"));
  CHECK(ignores("h?llo", "hello"));
  CHECK_FALSE(ignores("h?llo", "hllo"));
}

TEST_CASE("ignore: a slash at the begin or in the middle ties a pattern to the share's top") {
  CHECK(ignores("/foo", "foo"));
  CHECK_FALSE(ignores("/foo", "a/foo"));
  CHECK(ignores("a/b", "a/b"));
  CHECK(ignores("a/b", "a/b/c"));
  CHECK_FALSE(ignores("a/b", "x/a/b"));
  CHECK(ignores("/a/*.c", "a/x.c"));
  CHECK_FALSE(ignores("/a/*.c", "a/b/x.c"));
  CHECK_FALSE(ignores("a?b", "a/b"));
}

TEST_CASE("ignore: a slash at the end is of folders only") {
  CHECK(ignores("foo/", "foo/"));
  CHECK(ignores("foo/", "foo/x"));
  CHECK(ignores("foo/", "a/foo/x"));
  CHECK_FALSE(ignores("foo/", "foo"));
  CHECK_FALSE(ignores("a/foo/", "b/a/foo/x"));
}

TEST_CASE("ignore: two asterisks stand for folders") {
  CHECK(ignores("**/foo", "foo"));
  CHECK(ignores("**/foo", "a/b/foo"));
  CHECK(ignores("**/foo/bar", "x/foo/bar"));
  CHECK_FALSE(ignores("**/foo/bar", "foo/x/bar"));
  CHECK(ignores("abc/**", "abc/x"));
  CHECK(ignores("abc/**", "abc/x/y"));
  CHECK_FALSE(ignores("abc/**", "abc"));
  CHECK_FALSE(ignores("abc/**", "abc/"));
  CHECK(ignores("a/**/b", "a/b"));
  CHECK(ignores("a/**/b", "a/x/b"));
  CHECK(ignores("a/**/b", "a/x/y/b"));
  CHECK_FALSE(ignores("a/**/b", "b"));
  CHECK(ignores("a**b", "axxb"));  // as one, within a name
  CHECK_FALSE(ignores("/a**b", "a/b"));
  CHECK(ignores("/**", "x"));
  CHECK(ignores("a/**/b/**/c", "a/b/b/x/c"));
}

TEST_CASE("ignore: what is excluded can be included again, but not out of an excluded folder") {
  CHECK_FALSE(ignores("*.log\n!keep.log", "keep.log"));
  CHECK(ignores("*.log\n!keep.log", "other.log"));
  CHECK(ignores("!keep.log\n*.log", "keep.log"));
  CHECK(ignores("d/\n!d/keep", "d/keep"));
  CHECK_FALSE(ignores("d/*\n!d/keep", "d/keep"));
  CHECK_FALSE(ignores("/*\n!/foo\n/foo/*\n!/foo/bar", "foo/bar"));
  CHECK(ignores("/*\n!/foo\n/foo/*\n!/foo/bar", "foo/baz"));
}

TEST_CASE("ignore: comments, escapes, spaces, line ends") {
  CHECK_FALSE(ignores("# foo", "foo"));
  CHECK_FALSE(ignores("#foo", "#foo"));
  CHECK(ignores("\\#foo", "#foo"));
  CHECK(ignores("\\!foo", "!foo"));
  CHECK(ignores("foo   ", "foo"));
  CHECK(ignores("foo\\ ", "foo "));
  CHECK_FALSE(ignores("foo\\ ", "foo"));
  CHECK(ignores(" foo", " foo"));
  CHECK_FALSE(ignores(" foo", "foo"));
  CHECK(ignores("foo\r\nbar\r\n", "foo"));
  CHECK(
      ignores("\xef\xbb\xbf"
              "foo",
              "foo"));
  CHECK(ignores("\n\nfoo", "foo"));
  CHECK(ignores("a\\*b", "a*b"));
  CHECK_FALSE(ignores("a\\*b", "axb"));
  CHECK_FALSE(ignores("foo\\", "foo"));
  CHECK_FALSE(ignores("foo\\", "foo\\"));
  CHECK(ignores("\xc3\xa4?", "\xc3\xa4x"));
  CHECK(ignores("last line", "last line"));
}

TEST_CASE("ignore: brackets") {
  CHECK(ignores("[ab]x", "ax"));
  CHECK_FALSE(ignores("[ab]x", "cx"));
  CHECK(ignores("[!ab]x", "cx"));
  CHECK(ignores("[^ab]x", "cx"));
  CHECK(ignores("[a-c]x", "bx"));
  CHECK(ignores("[]a]x", "]x"));
  CHECK(ignores("[[:digit:]]x", "1x"));
  CHECK(ignores("[\\]]x", "]x"));
  CHECK_FALSE(ignores("[ab", "[ab"));
  CHECK_FALSE(ignores("[ab", "a"));
  CHECK_FALSE(ignores("a[/]b", "a/b"));
  CHECK(ignores("[b/]x", "bx"));
  CHECK_FALSE(ignores("[b/]x", "d/bx"));
  CHECK(ignores("a\\/b", "a/b"));
}

TEST_CASE("ignore: nothing matches what is no pattern, and nothing takes long") {
  for (const char* rules : {"", "/", "!", "!/", "//", "a//b", "//a"}) {
    CAPTURE(rules);
    CHECK_FALSE(ignores(rules, "a/b"));
    CHECK_FALSE(ignores(rules, "a"));
  }
  std::string deep = "a";
  for (int i = 0; i < 1000; ++i) deep += "/a";
  std::string many;
  for (int i = 0; i < 50; ++i) many += "**/a/";
  CHECK_FALSE(ignores(many + "b", deep));
  CHECK_FALSE(ignores(std::string(100, '*') + "b" + "*a*a*a*a*a*a*a*a*b", std::string(255, 'a')));
}

TEST_CASE("ignore: the file that says it is never ignored, at the share's top") {
  CHECK_FALSE(ignores("*", ".leftingignore"));
  CHECK(ignores("*", "d/.leftingignore"));
}

TEST_CASE_FIXTURE(Folder, "ignore: the file is read, and its rules go with it") {
  REQUIRE(file.refresh().ok());
  CHECK(file.digest().empty());
  CHECK_FALSE(file.rules().covers("x.tmp"));
  write("*.tmp");
  CHECK(file.refresh().ok());
  CHECK_FALSE(file.rules().covers("x.tmp"));  // just written: perhaps not yet whole
  CHECK(file.settling());
  IgnoreFile other{share};
  REQUIRE(other.refresh().ok());
  CHECK(other.rules().covers("x.tmp"));
  CHECK_FALSE(other.settling());
  CHECK(other.digest().size() == 64);
  fs::remove(folder / std::string{kIgnoreName});
  REQUIRE(other.refresh().ok());
  CHECK_FALSE(other.rules().covers("x.tmp"));
  CHECK(other.digest().empty());
}

TEST_CASE_FIXTURE(Folder, "ignore: what can't be read is an error that says what to do") {
  SUBCASE("a folder") { fs::create_directory(folder / std::string{kIgnoreName}); }
  SUBCASE("a symlink") { fs::create_symlink("/etc/hostname", folder / std::string{kIgnoreName}); }
  SUBCASE("too large") { write(std::string(kMostIgnoreBytes + 1, 'x')); }
  const Status read = file.refresh();
  REQUIRE_FALSE(read);
  CHECK(read.error().text().find(".leftingignore") != std::string::npos);
  CHECK_FALSE(read.error().advice.empty());
}

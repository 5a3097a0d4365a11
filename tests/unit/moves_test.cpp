#include "scanner/moves.h"

#include <doctest/doctest.h>

using lefting::scanner::Moves;

TEST_CASE("moves: a path was where it, or a folder above it, was before") {
  Moves moves;
  CHECK_FALSE(moves.origin("a"));
  moves.add("old", "a/new");
  moves.add("file", "a/new/x/y");
  CHECK(moves.origin("a/new") == "old");
  CHECK(moves.origin("a/new/z") == "old/z");
  CHECK(moves.origin("a/new/x/y") == "file");
  CHECK_FALSE(moves.origin("a"));
  CHECK_FALSE(moves.origin("a/newer"));
  moves.clear();
  CHECK_FALSE(moves.origin("a/new"));
}

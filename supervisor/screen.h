#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lefting::supervisor {

/// One frame for a terminal of that size: over the one before it, each line's rest cleared, then
/// what is below. Nothing is blank in between, so nothing flickers.
std::string frame_text(const std::vector<std::string>& lines, std::size_t rows,
                       std::size_t columns);

/// Stdout as a place for frames. On a terminal that is its alternate screen, without a cursor, as
/// long as this lives; else frames follow one another, each with an empty line behind it.
class Screen {
 public:
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// How many lines a frame may have now; 0: any number.
  std::size_t rows() const { return terminal_ ? size().rows : 0; }
  /// Draws a frame in one write. False: it can't be written.
  bool draw(const std::vector<std::string>& lines) const;
  /// Gives the terminal back for a while.
  void leave() const;
  void enter() const;

 private:
  struct Size {
    std::size_t rows = 24;
    std::size_t columns = 80;
  };
  Size size() const;

  bool terminal_;
};

}  // namespace lefting::supervisor

#include "supervisor/log_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <filesystem>

#include "common/base/os.h"
#include "common/base/unique_fd.h"

namespace lefting::supervisor {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".log";
constexpr int kRotated = 3;                     // as open_log keeps them
constexpr std::size_t kTimeLength = 23;         // 2026-01-31T23:59:59.999
constexpr std::uint64_t kPieceBytes = 1 << 16;  // read from the end in such steps

bool has_time(std::string_view line) {
  return line.size() > kTimeLength && line[4] == '-' && line[10] == 'T' && line[19] == '.';
}

/// The last `most` lines of a file, read backwards so that a long one costs nothing.
std::deque<std::string> tail(const std::string& path, std::size_t most) {
  const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return {};
  auto start = static_cast<std::uint64_t>(info.st_size);
  std::string text;
  while (start > 0 && std::ranges::count(text, '\n') <= static_cast<std::ptrdiff_t>(most)) {
    const std::uint64_t size = std::min(start, kPieceBytes);
    start -= size;
    std::string piece(size, '\0');
    const auto got =
        pread_all(fd.get(), std::as_writable_bytes(std::span{piece.data(), size}), start);
    if (!got) return {};
    piece.resize(got.value());
    text.insert(0, piece);
  }
  std::deque<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  while (lines.size() > most) lines.pop_front();
  return lines;
}

}  // namespace

std::vector<std::string> logged_programs(const InstancePaths& paths) {
  std::vector<std::string> programs;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(paths.logs(), error)) {
    std::string name = file.path().filename().string();
    if (!name.ends_with(kSuffix)) continue;
    name.resize(name.size() - kSuffix.size());
    if (name.find('.') == name.npos) programs.push_back(std::move(name));
  }
  std::ranges::sort(programs);
  return programs;
}

std::vector<std::string> last_log_lines(const InstancePaths& paths, std::string_view program,
                                        std::size_t most) {
  std::deque<std::string> lines = tail(paths.log(program), most);
  for (int i = 1; i <= kRotated && lines.size() < most; ++i) {
    const std::string older = paths.log(std::string{program} + "." + std::to_string(i));
    auto before = tail(older, most - lines.size());
    lines.insert(lines.begin(), std::make_move_iterator(before.begin()),
                 std::make_move_iterator(before.end()));
  }
  return {std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end())};
}

std::string last_log_line(const InstancePaths& paths, std::string_view program) {
  auto lines = last_log_lines(paths, program, 1);
  return lines.empty() ? std::string{} : std::move(lines.back());
}

std::vector<std::string> merge_logs(std::vector<std::vector<std::string>> logs, std::size_t most) {
  struct Line {
    std::string time;
    std::string text;
  };
  std::vector<Line> lines;
  for (auto& log : logs) {
    std::string time;
    for (std::string& text : log) {
      if (has_time(text)) time = text.substr(0, kTimeLength);
      lines.push_back({time, std::move(text)});
    }
  }
  std::ranges::stable_sort(lines, {}, &Line::time);
  std::vector<std::string> out;
  const std::size_t skip = lines.size() > most ? lines.size() - most : 0;
  for (std::size_t i = skip; i < lines.size(); ++i) out.push_back(std::move(lines[i].text));
  return out;
}

}  // namespace lefting::supervisor

#include "common/wire/messages.h"

namespace lefting::wire {

namespace {

constexpr std::size_t kMaxPathBytes = 4096;
constexpr std::size_t kMaxComponentBytes = 255;
constexpr std::string_view kPartialSuffix = ".lefting";
constexpr std::string_view kTrashName = ".lefting-trash";

std::optional<std::string> component_fault(std::string_view component) {
  if (component.empty()) return "the path has an empty component";
  if (component == "." || component == "..") return "the path has a component . or ..";
  if (component.size() > kMaxComponentBytes) return "a component is longer than 255 bytes";
  if (component.ends_with(kPartialSuffix)) return "names ending in .lefting are partial files";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> path_fault(std::string_view path) {
  if (path.empty()) return "the path is empty";
  if (path.size() > kMaxPathBytes) return "the path is longer than 4096 bytes";
  if (path.find('\0') != path.npos) return "the path has a NUL";
  if (path.front() == '/' || path.back() == '/') return "the path begins or ends with /";
  if (path.substr(0, path.find('/')) == kTrashName) return "that is the trash of a share";
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (auto fault = component_fault(path.substr(begin, end - begin))) return fault;
    begin = end + 1;
  }
  return std::nullopt;
}

}  // namespace lefting::wire

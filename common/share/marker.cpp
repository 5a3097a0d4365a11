#include "common/share/marker.h"

#include <array>
#include <cerrno>

#include "common/base/os.h"

namespace lefting::share {

bool has_marker(const Share& share) {
  const auto stat = share.stat(kMarkerName);
  return !stat || stat.value().has_value();
}

Status write_marker(const Share& share, std::string_view index_id) {
  const std::string path = share.folder() + "/" + std::string{kMarkerName};
  return write_file(path, std::string{index_id} + "\n", 0644);
}

Status check_marker(const Share& share, std::string_view index_id) {
  const std::string share_text = "share \"" + share.folder() + "\"";
  auto fd = share.open_file(kMarkerName);
  if (!fd) {
    if (fd.error().code.value() != ENOENT) return fd.error();
    return plain_error(share_text, "its marker file is missing, so it may be another folder",
                       "nothing is taken as deleted. Is it mounted? If it is the right folder: "
                       "echo " +
                           std::string{index_id} + " > '" + share.folder() + "/" +
                           std::string{kMarkerName} +
                           "'; if it was changed elsewhere meanwhile: `supervisor start "
                           "--rebuild`");
  }
  std::array<std::byte, 64> content{};
  const auto came = pread_all(fd.value().get(), content, 0);
  if (!came) return came.error();
  const std::string_view text{reinterpret_cast<const char*>(content.data()), came.value()};
  if (text.substr(0, text.find('\n')) == index_id) return {};
  return plain_error(share_text,
                     "its marker file names another index: it is another instance's share, or its "
                     "index was made anew",
                     "nothing is taken as deleted. Choose the right folder with --share DIR; if it "
                     "is this one, `supervisor start --rebuild` makes a new index of it");
}

}  // namespace lefting::share

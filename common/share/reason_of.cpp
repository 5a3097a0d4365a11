#include "common/share/reason_of.h"

#include <cerrno>

#include "common/share/partial.h"

namespace lefting::share {

namespace {

Cause cause_of(int errno_value) {
  switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
      return Cause::no_space;
    case EACCES:
    case EPERM:
    case EROFS:
      return Cause::not_permitted;
    case EEXIST:
    case EISDIR:
    case ELOOP:
    case ENOTDIR:
    case ENOTEMPTY:
    case EXDEV:
      return Cause::in_the_way;
    case EILSEQ:
    case EINVAL:
    case ENAMETOOLONG:
      return Cause::refused_name;
    case EFBIG:
      return Cause::too_large;
    default:
      return Cause::failed;
  }
}

}  // namespace

Reason reason_of(const Error& error) {
  const int code = error.code.value();
  if (code == kChangedMeanwhile) return changed_here();
  return {cause_of(code), error.text()};
}

}  // namespace lefting::share

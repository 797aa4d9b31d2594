// errno as Node spells it in `error.code`. glibc's strerrorname_np is too new for the oldest glibc
// that the prebuilds run on. Thread: any (pure).
#pragma once

#include <cerrno>

namespace stmqtt {

[[nodiscard]] inline const char* error_name(int code) noexcept {
  switch (code) {
#define STMQTT_ERROR(name) \
  case name:               \
    return #name
    STMQTT_ERROR(EACCES);
    STMQTT_ERROR(EADDRINUSE);
    STMQTT_ERROR(EADDRNOTAVAIL);
    STMQTT_ERROR(EAFNOSUPPORT);
    STMQTT_ERROR(EAGAIN);
    STMQTT_ERROR(EBADF);
    STMQTT_ERROR(EEXIST);
    STMQTT_ERROR(EINVAL);
    STMQTT_ERROR(EIO);
    STMQTT_ERROR(EISDIR);
    STMQTT_ERROR(ELOOP);
    STMQTT_ERROR(EMFILE);
    STMQTT_ERROR(ENAMETOOLONG);
    STMQTT_ERROR(ENFILE);
    STMQTT_ERROR(ENOBUFS);
    STMQTT_ERROR(ENOENT);
    STMQTT_ERROR(ENOMEM);
    STMQTT_ERROR(ENOSPC);
    STMQTT_ERROR(ENOTDIR);
    STMQTT_ERROR(EPERM);
    STMQTT_ERROR(EROFS);
#undef STMQTT_ERROR
    default:
      return "EUNKNOWN";
  }
}

}  // namespace stmqtt

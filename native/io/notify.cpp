#include "io/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace stmqtt {

SystemError notify_supervisor(std::string_view path, std::string_view text) noexcept {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  const bool named = !path.empty() && (path[0] == '/' || path[0] == '@');
  if (!named || path.size() >= sizeof to.sun_path) return {EINVAL, "sendto"};
  std::memcpy(to.sun_path, path.data(), path.size());
  if (path[0] == '@') to.sun_path[0] = '\0';
  // A file's name ends with NUL; an abstract one has exactly its bytes.
  const std::size_t end = path[0] == '@' ? path.size() : path.size() + 1;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return {errno, "socket"};
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + end);
  const ssize_t sent = sendto(fd, text.data(), text.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&to), length);
  const int error = sent < 0 ? errno : 0;
  close(fd);
  return {error, "sendto"};
}

}  // namespace stmqtt

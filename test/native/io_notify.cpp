// native/io: datagrams to a supervisor: a file's socket, an abstract one, and sockets that are not.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "io/notify.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;

/// Bound as systemd binds its own; the name is as in NOTIFY_SOCKET.
class Supervisor {
 public:
  explicit Supervisor(std::string name) : name_(std::move(name)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, name_.data(), name_.size());
    const bool abstract = name_[0] == '@';
    if (abstract) at.sun_path[0] = '\0';
    if (!abstract) ::unlink(name_.c_str());
    const std::size_t length =
        offsetof(sockaddr_un, sun_path) + name_.size() + (abstract ? 0 : 1);
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    bound_ = ::bind(fd_, reinterpret_cast<const sockaddr*>(&at),
                    static_cast<socklen_t>(length)) == 0;
  }
  ~Supervisor() {
    ::close(fd_);
    if (name_[0] == '/') ::unlink(name_.c_str());
  }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  [[nodiscard]] bool bound() const { return bound_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string next() const {
    char text[256];
    const ssize_t bytes = ::recv(fd_, text, sizeof text, 0);
    return bytes < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(bytes));
  }

 private:
  std::string name_;
  int fd_ = -1;
  bool bound_ = false;
};

std::string unique(const char* prefix) {
  return std::string(prefix) + "st-mqttd-notify-" + std::to_string(::getpid());
}

STMQTT_TEST("io notify: one datagram each, to a path and to an abstract name") {
  for (const char* prefix : {"/tmp/", "@"}) {
    const Supervisor supervisor(unique(prefix));
    REQUIRE(supervisor.bound());
    CHECK_EQ(notify_supervisor(supervisor.name(), "READY=1\nSTATUS=x").code, 0);
    CHECK_EQ(notify_supervisor(supervisor.name(), "WATCHDOG=1").code, 0);
    CHECK_EQ(supervisor.next(), std::string("READY=1\nSTATUS=x"));
    CHECK_EQ(supervisor.next(), std::string("WATCHDOG=1"));
    CHECK_EQ(supervisor.next(), std::string("nothing"));
  }
}

STMQTT_TEST("io notify: a name that is none, and a supervisor that is gone, are errors") {
  CHECK_EQ(notify_supervisor("", "x").code, EINVAL);
  CHECK_EQ(notify_supervisor("relative", "x").code, EINVAL);
  CHECK_EQ(notify_supervisor("/" + std::string(107, 'x'), "x").code, EINVAL);
  CHECK_EQ(notify_supervisor(unique("/tmp/gone-"), "x").code, ENOENT);
  CHECK_EQ(notify_supervisor(unique("@gone-"), "x").code, ECONNREFUSED);
}

}  // namespace

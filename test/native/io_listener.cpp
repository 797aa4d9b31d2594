// native/io: listeners: addresses, errors, Unix sockets, accepted sockets' options, and what happens
// when no descriptor is left.
#include "io_fixture.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::test;

ListenSpec at(const std::string& host, std::uint16_t port = 0) {
  ListenSpec spec;
  spec.host = host;
  spec.port = port;
  return spec;
}

ListenSpec at_path(const std::string& path, unsigned mode = 0660) {
  ListenSpec spec;
  spec.unix_path = path;
  spec.unix_mode = mode;
  return spec;
}

std::string text_of(const PeerAddress& peer) {
  char text[PeerAddress::kMaxTextBytes];
  return {text, peer.to_text(text)};
}

std::string socket_path(const char* name) {
  return "/tmp/st-mqttd-test-" + std::to_string(::getpid()) + "-" + name + ".sock";
}

STMQTT_TEST("io listener: the bound address and port are told, a busy port is an error") {
  Listener first(1);
  REQUIRE_EQ(first.open(at("127.0.0.1")).code, 0);
  CHECK_EQ(first.address(), "127.0.0.1");
  CHECK_GT(first.port(), 0);
  CHECK_EQ(first.open(at("127.0.0.1")).code, EISCONN);
  Listener second(2);
  const SystemError busy = second.open(at("127.0.0.1", first.port()));
  CHECK_EQ(busy.code, EADDRINUSE);
  CHECK_EQ(std::string(busy.call), "bind");
  CHECK_EQ(second.fd(), -1);
  first.close();
  first.close();
  CHECK_EQ(second.open(at("127.0.0.1", second.port())).code, 0);
}

STMQTT_TEST("io listener: names, brackets, wildcards and nonsense") {
  Listener localhost(1);
  REQUIRE_EQ(localhost.open(at("localhost")).code, 0);
  CHECK_EQ(localhost.address(), "127.0.0.1");
  Listener all(2);
  REQUIRE_EQ(all.open(at("*")).code, 0);
  CHECK_EQ(all.address(), "0.0.0.0");
  Listener empty(3);
  REQUIRE_EQ(empty.open(at("")).code, 0);
  CHECK_EQ(empty.address(), "0.0.0.0");
  Listener wrong(4);
  const SystemError unknown = wrong.open(at(std::string(300, 'x')));
  CHECK_NE(unknown.code, 0);
  CHECK_EQ(std::string(unknown.call), "getaddrinfo");
  CHECK_EQ(wrong.open(at("192.0.2.1")).code, EADDRNOTAVAIL);  // TEST-NET-1, nobody's
}

STMQTT_TEST("io listener: IPv6, alone and taking IPv4 too") {
  Listener probe(1);
  if (probe.open(at("::1")).code != 0) return skip("no IPv6 loopback here");
  CHECK_EQ(probe.address(), "::1");
  Listener bracketed(2);
  CHECK_EQ(bracketed.open(at("[::1]")).code, 0);
  for (const Ipv6Scope scope : {Ipv6Scope::dual_stack, Ipv6Scope::ipv6_only}) {
    IoFixture io;
    PeerAddress seen;
    io.handler.accepted = [&](int fd, ListenerId listener, const PeerAddress& peer) {
      seen = peer;
      static_cast<void>(io.io.adopt({fd, 1, listener, peer}, &io));
    };
    ListenSpec spec = at("::");
    spec.ipv6_scope = scope;
    io.listen(spec);
    io.start();
    Client over_ipv4(io.listener.port());
    CHECK_EQ(over_ipv4.connected(), scope == Ipv6Scope::dual_stack);
    if (!over_ipv4.connected()) continue;
    CHECK(over_ipv4.send(frame_of("x")));
    CHECK_EQ(over_ipv4.read_frame(), "x");
    io.stop();
    CHECK_EQ(text_of(seen).substr(0, 10), "127.0.0.1:");
  }
}

STMQTT_TEST("io listener: addresses as text") {
  PeerAddress peer;
  CHECK_EQ(text_of(peer), "unknown");
  peer.family = PeerAddress::Family::unix_socket;
  CHECK_EQ(text_of(peer), "unix");
  peer.family = PeerAddress::Family::ipv4;
  peer.port = 52110;
  peer.address[0] = 10;
  peer.address[3] = 255;
  CHECK_EQ(text_of(peer), "10.0.0.255:52110");
  peer.family = PeerAddress::Family::ipv6;
  for (std::uint8_t& byte : peer.address) byte = 0xFE;
  CHECK_EQ(text_of(peer), "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe]:52110");
}

STMQTT_TEST("io listener: accepted sockets do not delay, are kept alive and do not block") {
  IoFixture io;
  int no_delay = 0, keep_alive = 0, user_timeout = 0, flags = 0, at_exec = 0;
  io.handler.accepted = [&](int fd, ListenerId listener, const PeerAddress& peer) {
    socklen_t bytes = sizeof no_delay;
    ::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &bytes);
    ::getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keep_alive, &bytes);
    ::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, &bytes);
    flags = ::fcntl(fd, F_GETFL);
    at_exec = ::fcntl(fd, F_GETFD);
    static_cast<void>(io.io.adopt({fd, 1, listener, peer}, &io));
  };
  io.start();
  Client client(io.listener.port());
  CHECK(client.send(frame_of("x")));
  CHECK_EQ(client.read_frame(), "x");
  io.stop();
  CHECK_EQ(no_delay, 1);
  CHECK_EQ(keep_alive, 1);
  CHECK_GT(user_timeout, 0);
  CHECK((flags & O_NONBLOCK) != 0);
  CHECK((at_exec & FD_CLOEXEC) != 0);
}

STMQTT_TEST("io listener: a Unix socket serves, has its mode, and goes with its listener") {
  const std::string path = socket_path("mode");
  struct stat found;
  {
    IoFixture io;
    PeerAddress seen;
    io.handler.accepted = [&](int fd, ListenerId listener, const PeerAddress& peer) {
      seen = peer;
      static_cast<void>(io.io.adopt({fd, 1, listener, peer}, &io));
    };
    const mode_t before = ::umask(077);
    io.listen(at_path(path, 0666));
    ::umask(before);
    io.start();
    CHECK_EQ(io.listener.address(), path);
    CHECK_EQ(io.listener.port(), 0);
    REQUIRE_EQ(::stat(path.c_str(), &found), 0);
    CHECK_EQ(found.st_mode & 0777, 0666);
    Client client(path);
    CHECK(client.send(frame_of("over unix")));
    CHECK_EQ(client.read_frame(), "over unix");
    io.stop();
    CHECK_EQ(text_of(seen), "unix");
  }
  CHECK_NE(::stat(path.c_str(), &found), 0);
}

STMQTT_TEST("io listener: a socket file is replaced only if nobody answers on it") {
  const std::string path = socket_path("stale");
  {
    // What a killed process leaves behind.
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to = {};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, path.c_str(), sizeof to.sun_path - 1);
    REQUIRE_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    ::close(fd);
  }
  Listener first(1);
  REQUIRE_EQ(first.open(at_path(path)).code, 0);
  Listener second(2);
  CHECK_EQ(second.open(at_path(path)).code, EADDRINUSE);
  // Somebody else's file at our path stays when we go.
  REQUIRE_EQ(::unlink(path.c_str()), 0);
  Listener third(3);
  REQUIRE_EQ(third.open(at_path(path)).code, 0);
  first.close();
  struct stat found;
  CHECK_EQ(::stat(path.c_str(), &found), 0);
  third.close();
  CHECK_NE(::stat(path.c_str(), &found), 0);
  // A plain file is never touched.
  const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ::close(file);
  CHECK_EQ(first.open(at_path(path)).code, EADDRINUSE);
  CHECK_EQ(::unlink(path.c_str()), 0);
  CHECK_EQ(first.open(at_path(std::string(200, 'p'))).code, ENAMETOOLONG);
  CHECK_EQ(first.open(at_path("/no/such/folder/socket")).code, ENOENT);
}

STMQTT_TEST("io listener: removed in the middle of accepting, and added again") {
  IoFixture io;
  std::atomic<int> accepted{0};
  io.handler.accepted = [&](int fd, ListenerId, const PeerAddress&) {
    accepted++;
    io.io.reject(fd);
    io.io.remove_listener(io.listener);
  };
  io.start();
  Client first(io.listener.port());
  Client second(io.listener.port());
  CHECK(first.at_end());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_EQ(accepted.load(), 1);
  io.handler.call([&] { CHECK_EQ(io.io.add_listener(io.listener).code, 0); });
  CHECK(second.at_end());
  CHECK_EQ(accepted.load(), 2);
  CHECK(eventually([&] { return io.count(Counter::connections_closed) == 2; }));
}

STMQTT_TEST("io listener: a burst of connections is accepted, all of it") {
  IoFixture io;
  io.start();
  std::vector<Client> clients;
  for (int i = 0; i < 120; i++) clients.emplace_back(io.listener.port());
  for (Client& client : clients) CHECK(client.send(frame_of("hi")));
  for (Client& client : clients) CHECK_EQ(client.read_frame(), "hi");
  CHECK_EQ(io.count(Counter::connections_accepted), 120);
}

STMQTT_TEST("io listener: without descriptors left newcomers are shed, the others served, and it recovers") {
  IoFixture io;
  std::atomic<unsigned> shed{0};
  std::atomic<int> error{0};
  std::atomic<int> failures{0};
  io.handler.accept_failed = [&](ListenerId listener, int code, unsigned closed) {
    CHECK_EQ(listener, 7U);
    error = code;
    shed += closed;
    failures++;
  };
  io.start();
  std::vector<Client> served;
  served.emplace_back(io.listener.port());
  CHECK(served[0].send(frame_of("before")));
  CHECK_EQ(served[0].read_frame(), "before");
  // Descriptors for the clients first, then no room for more than three accepted ones.
  std::vector<int> fds;
  for (int i = 0; i < 20; i++) fds.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int highest = 0;
  for (const int fd : fds) highest = std::max(highest, fd);
  rlimit before = {};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(highest) + 4;
  REQUIRE_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(io.listener.port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (const int fd : fds) {
    CHECK_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  CHECK(eventually([&] {
    return io.count(Counter::connections_accepted) + shed.load() >= 21;
  }));
  CHECK_EQ(error.load(), EMFILE);
  CHECK_GE(shed.load(), 1U);
  CHECK(served[0].send(frame_of("during")));
  CHECK_EQ(served[0].read_frame(), "during");
  // It rests in between: no spinning on a listener that cannot be served.
  const std::int64_t turns = io.count(Counter::loop_turns);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK_LE(io.count(Counter::loop_turns), turns + 10);
  for (const int fd : fds) ::close(fd);
  REQUIRE_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  served.emplace_back(io.listener.port());
  CHECK(served[1].send(frame_of("after")));
  CHECK_EQ(served[1].read_frame(), "after");
}

STMQTT_TEST("io listener: without even a reserve it rests, does not spin, and goes on by itself") {
  rlimit before = {};
  ::getrlimit(RLIMIT_NOFILE, &before);
  contract::Counters counters;
  FrameHandler handler;
  std::atomic<int> failures{0};
  handler.accept_failed = [&](ListenerId, int error, unsigned shed) {
    CHECK_EQ(error, EMFILE);
    CHECK_EQ(shed, 0U);
    failures++;
  };
  Listener listener(7);
  REQUIRE_EQ(listener.open(at("127.0.0.1")).code, 0);
  Client client(listener.port());
  IoThread io(0, handler, counters, {});
  handler.io = &io;
  // Room for the poller's two descriptors and no more.
  const int next = ::dup(0);
  const int after_next = ::dup(0);
  ::close(next);
  ::close(after_next);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(std::max(next, after_next)) + 1;
  REQUIRE_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  CHECK_EQ(io.open().code, 0);
  CHECK_EQ(io.add_listener(listener).code, 0);
  CHECK_EQ(io.start().code, 0);
  CHECK(eventually([&] { return failures.load() >= 2; }));
  CHECK_LE(counters.read(Counter::loop_turns), 20);
  REQUIRE_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  CHECK(client.send(frame_of("waited")));
  CHECK_EQ(client.read_frame(), "waited");
  io.join();
}

}  // namespace

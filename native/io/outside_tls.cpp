// See outside_tls.hpp.
#include "io/outside_tls.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/pool.hpp"

namespace stmqtt {
namespace {

constexpr std::size_t kHeadBytes = 8;
constexpr std::size_t kMaxRecordBytes = std::size_t{64} << 10;
constexpr std::uint8_t kLastCause = static_cast<std::uint8_t>(TlsFailureCause::protocol);

class OutsideChannel final : public SecureChannel {
 public:
  [[nodiscard]] ChannelOutput receive(const ChannelInput& input) noexcept override;
  void send(OutboundQueue& from, std::size_t max_bytes) noexcept override {
    out.append_front(from, max_bytes);
  }
  [[nodiscard]] Bytes certificate() noexcept override {
    return was_open() ? Bytes{certificate_.begin(), certificate_.size()} : Bytes{};
  }
  // Kept, unlike OpenSSL's own: there is nobody to ask again.
  void drop_certificate() noexcept override {}
  [[nodiscard]] bool resumed() const noexcept override { return resumed_; }
  void destroy() noexcept override { pool_delete(this); }

 private:
  [[nodiscard]] bool take_record(OutsideRecord kind, std::uint8_t number) noexcept;

  PoolVector<std::uint8_t> record_;  // as far as it came
  bool resumed_ = false;
};

ChannelOutput OutsideChannel::receive(const ChannelInput& input) noexcept {
  using State = ChannelOutput::State;
  std::span<std::uint8_t> bytes = input.bytes;
  while (stage_ != Stage::open) {
    std::size_t whole = kHeadBytes;
    if (record_.size() >= kHeadBytes) {
      const std::uint8_t* head = record_.data();
      const std::size_t length = std::size_t{head[4]} | std::size_t{head[5]} << 8 |
                                 std::size_t{head[6]} << 16 | std::size_t{head[7]} << 24;
      if (length > kMaxRecordBytes) {
        fail(TlsFailureCause::protocol, "Node's TLS said more of the handshake than there can be");
        return {{}, State::failed};
      }
      whole += length;
      if (record_.size() == whole) {
        if (!take_record(static_cast<OutsideRecord>(head[0]), head[1])) return {{}, State::failed};
        record_.clear();
        continue;
      }
    }
    if (bytes.empty()) return {};
    const std::size_t taken = std::min(bytes.size(), whole - record_.size());
    record_.append(bytes.data(), taken);
    bytes = bytes.subspan(taken);
  }
  return {bytes};
}

bool OutsideChannel::take_record(OutsideRecord kind, std::uint8_t number) noexcept {
  const Bytes body = Bytes{record_.data(), record_.size()}.subspan(kHeadBytes);
  switch (kind) {
    case OutsideRecord::begun:
      stage_ = Stage::handshake;
      return true;
    case OutsideRecord::open:
      resumed_ = number == 1;
      if (!body.empty()) certificate_.append(body.data(), body.size());
      opened();
      return true;
    case OutsideRecord::failed:
      fail(static_cast<TlsFailureCause>(std::min(number, kLastCause)),
           {reinterpret_cast<const char*>(body.data()), body.size()});
      return false;
  }
  fail(TlsFailureCause::protocol, "Node's TLS said something unknown of the handshake");
  return false;
}

}  // namespace

OutsideSocket::OutsideSocket(OutsideSocket&& other) noexcept
    : listener(other.listener),
      socket(std::exchange(other.socket, -1)),
      stream(std::exchange(other.stream, -1)),
      proxy_first(other.proxy_first) {}

OutsideSocket& OutsideSocket::operator=(OutsideSocket&& other) noexcept {
  std::swap(listener, other.listener);
  std::swap(socket, other.socket);
  std::swap(stream, other.stream);
  std::swap(proxy_first, other.proxy_first);
  return *this;
}

OutsideSocket::~OutsideSocket() {
  if (socket >= 0) ::close(socket);
  if (stream >= 0) ::close(stream);
}

SystemError OutsideSocket::pair(int& ours) noexcept {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return {errno, "socketpair"};
  }
  ours = ends[0];
  stream = ends[1];
  return {};
}

Channel* make_outside_channel() noexcept { return pool_new<OutsideChannel>(); }

}  // namespace stmqtt

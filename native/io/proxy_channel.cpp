// See proxy_channel.hpp. Thread: the I/O thread.
#include "io/proxy_channel.hpp"

#include <algorithm>
#include <cstring>

#include "base/pool.hpp"
#include "base/vec.hpp"

namespace stmqtt {
namespace {

using stream::ProxyHeader;

class ProxyChannel final : public Channel {
 public:
  explicit ProxyChannel(const ProxySettings& settings) noexcept
      : Channel(ChannelKind::proxy), settings_(settings) {}

  ChannelOutput receive(const ChannelInput& input) noexcept override;
  void send(OutboundQueue&, std::size_t) noexcept override {}
  bool is_open() const noexcept override { return false; }
  std::string_view failure() const noexcept override { return failure_; }
  void destroy() noexcept override { pool_delete(this); }

 private:
  ChannelOutput fail(const char* failure) noexcept {
    failure_ = failure;
    return {{}, ChannelOutput::State::failed};
  }

  const ProxySettings& settings_;
  const char* failure_ = "no PROXY header in time";
  PoolVector<std::uint8_t> kept_;  // of a header that came in parts; bounded by its longest form
};

ChannelOutput ProxyChannel::receive(const ChannelInput& input) noexcept {
  if (!trusts(settings_.trusted, input.peer)) {
    return fail("the peer is not a trusted proxy (trusted_proxies)");
  }
  // Nearly always the header comes whole, in front of everything else.
  Bytes bytes = input.bytes;
  const std::size_t kept = kept_.size();
  if (kept > 0) {
    const std::size_t room = stream::kMaxProxyV2Bytes - std::min(kept, stream::kMaxProxyV2Bytes);
    kept_.append(bytes.data(), std::min(bytes.size(), room));
    bytes = {kept_.data(), kept_.size()};
  }
  const ProxyHeader header = stream::parse_proxy_header(bytes, settings_.versions);
  switch (header.status) {
    case ProxyHeader::Status::incomplete:
      if (kept == 0) kept_.append(bytes.data(), bytes.size());
      return {};
    case ProxyHeader::Status::invalid:
      return fail(header.fault);
    case ProxyHeader::Status::done:
      break;
  }
  switch (header.source) {
    case ProxyHeader::Source::proxy:  // a health check, for example: its own address stays
      break;
    case ProxyHeader::Source::ip:
      set_address(input.peer, header.address, header.port);
      break;
    case ProxyHeader::Source::unix_socket:
      input.peer = PeerAddress{};
      input.peer.family = PeerAddress::Family::unix_socket;
      break;
  }
  return {input.bytes.subspan(header.bytes - kept), ChannelOutput::State::finished};
}

}  // namespace

IpAddress ip_address_of(const PeerAddress& peer) noexcept {
  switch (peer.family) {
    case PeerAddress::Family::none:
    case PeerAddress::Family::unix_socket:
      return {};
    case PeerAddress::Family::ipv4:
      return IpAddress::v4(peer.address);
    case PeerAddress::Family::ipv6:
      return IpAddress::v6(peer.address);
  }
  return {};
}

void set_address(PeerAddress& peer, const IpAddress& address, std::uint16_t port) noexcept {
  peer = PeerAddress{};
  peer.family = address.kind == IpAddress::Kind::v4 ? PeerAddress::Family::ipv4
                                                    : PeerAddress::Family::ipv6;
  peer.port = port;
  std::memcpy(peer.address, address.bytes, sizeof peer.address);
}

bool trusts(const std::vector<IpNetwork>& trusted, const PeerAddress& peer) noexcept {
  return peer.family == PeerAddress::Family::unix_socket || contains(trusted, ip_address_of(peer));
}

Channel* make_proxy_channel(const ProxySettings& settings) noexcept {
  return pool_new<ProxyChannel>(settings);
}

}  // namespace stmqtt

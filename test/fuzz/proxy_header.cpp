// Fuzz target: a PROXY header cut in two gives what the whole gives, and asks for no byte that is not
// its own. The first byte of the input chooses the versions, the second the cut.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "stream/proxy_header.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::stream;

void require(bool holds) {
  if (!holds) std::abort();
}

/// A copy, so that a sanitizer sees a byte read behind its end.
ProxyHeader parse(Bytes bytes, ProxyVersions versions) {
  const std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  const ProxyHeader found = parse_proxy_header({copy.data(), copy.size()}, versions);
  if (found.status == ProxyHeader::Status::incomplete) {
    require(found.bytes > bytes.size() && found.bytes <= kMaxProxyV2Bytes);
  }
  if (found.status == ProxyHeader::Status::done) {
    require(found.bytes <= bytes.size() && found.bytes <= kMaxProxyV2Bytes);
    require(found.address.known() == (found.source == ProxyHeader::Source::ip));
  }
  require((found.status == ProxyHeader::Status::invalid) == (found.fault[0] != '\0'));
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto versions = static_cast<ProxyVersions>(data[0] % 3);
  const Bytes all{data + 2, size - 2};
  const ProxyHeader whole = parse(all, versions);
  const ProxyHeader first = parse(all.first(all.empty() ? 0 : data[1] % all.size()), versions);
  if (first.status != ProxyHeader::Status::incomplete) {
    require(first.status == whole.status && first.bytes == whole.bytes);
    require(first.address == whole.address && first.port == whole.port);
    require(first.source == whole.source);
    // Which fault is found first depends on how much is there; that there is one does not.
  }
  return 0;
}

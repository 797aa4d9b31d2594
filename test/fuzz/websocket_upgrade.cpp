// Fuzz target: an upgrade request cut in two gives what the whole gives; its answer fits; what
// X-Forwarded-For says is read without a byte too many. The first two bytes of the input are the
// cut, the third chooses the rules.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "stream/websocket_upgrade.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::stream;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Result {
  Upgrade upgrade;
  Forwarded forwarded;
};

/// A copy, so that a sanitizer sees a byte read behind its end.
Result parse(Bytes bytes, const UpgradeRules& rules) {
  static const std::vector<IpNetwork> kTrusted = {parse_ip_network("10.0.0.0/8"),
                                                  parse_ip_network("::1")};
  const std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  Result result;
  result.upgrade = parse_upgrade({copy.data(), copy.size()}, rules);
  const Upgrade& upgrade = result.upgrade;
  if (upgrade.status == Upgrade::Status::incomplete) {
    require(bytes.size() < kMaxUpgradeBytes);
    return result;
  }
  std::uint8_t answer[kMaxAnswerBytes];
  require(write_answer(upgrade, answer) < kMaxAnswerBytes);
  if (upgrade.status == Upgrade::Status::accepted) {
    require(upgrade.bytes <= bytes.size() && upgrade.bytes <= kMaxUpgradeBytes);
    result.forwarded = forwarded_for(upgrade, kTrusted);
  } else {
    require(upgrade.fault[0] != '\0' && upgrade.refusal != UpgradeRefusal::none);
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  static const UpgradeRules kRules[2] = {
      {"", {}}, {"/mqtt", {"https://app.example", "https://*.plant.example"}}};
  const UpgradeRules& rules = kRules[data[2] & 1];
  const Bytes all{data + 3, size - 3};
  const Result whole = parse(all, rules);
  const std::size_t cut = load_u16(data);
  const Result first = parse(all.first(all.empty() ? 0 : cut % all.size()), rules);
  if (first.upgrade.status != Upgrade::Status::incomplete) {
    const Upgrade& a = first.upgrade;
    const Upgrade& b = whole.upgrade;
    require(a.status == b.status && a.refusal == b.refusal && a.http_status == b.http_status);
    require(a.bytes == b.bytes && a.subprotocol == b.subprotocol);
    require(std::strcmp(a.fault, b.fault) == 0 && std::memcmp(a.accept, b.accept, 28) == 0);
    require(first.forwarded.address == whole.forwarded.address);
    require(first.forwarded.port == whole.forwarded.port);
  }
  return 0;
}

// Fuzz target: User Properties that say who published. Of any properties that a client may send,
// those with such names are found and left out, and all others that are forwarded stay as they are,
// in their order. First bit of the input: they are a Will's.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "session/publisher.hpp"
#include "tokens.hpp"
#include "wire/properties.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::fuzz;
using namespace stmqtt::wire;

bool is_taken(std::string_view name) {
  return name == "publisher_client_id" || name == "publisher_device_id" ||
         name == "publisher_username" || name == "publisher_tenant";
}

/// Name and value of each.
std::vector<std::string> users(Bytes properties) {
  std::vector<std::string> found;
  for_each_user_property(properties, [&](const UserProperty& user) {
    found.push_back(std::string(as_text(user.name)) + '\0' + std::string(as_text(user.value)));
  });
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // Copies end where their memory does.
  const std::vector<std::uint8_t> copy(data + 1, data + size);
  const Bytes raw(copy.data(), copy.size());
  Properties properties;
  const ReasonCode code = (data[0] & 1) != 0
                              ? decode_will_properties(raw, properties)
                              : decode_properties(raw, PacketType::publish, properties);
  if (code != ReasonCode::success) return 0;
  std::vector<std::string> expected;
  bool claims = false;
  for (const std::string& user : users(raw)) {
    if (is_taken(std::string_view(user.data(), std::strlen(user.data())))) {
      claims = true;
    } else {
      expected.push_back(user);
    }
  }
  require(claims_origin(raw) == claims, "claims");
  std::vector<std::uint8_t> kept(raw.size());
  kept.resize(copy_without_origin(raw, kept.data()));
  require(!claims_origin(kept), "none is left");
  require(users(kept) == expected, "the others stay, in order");
  std::vector<std::uint8_t> forwarded(raw.size());
  forwarded.resize(copy_forward_properties(raw, forwarded.data()));
  std::vector<std::uint8_t> then(forwarded.size());
  then.resize(copy_without_origin(forwarded, then.data()));
  require(then == kept, "as what is forwarded");
  if (!claims) require(kept == forwarded, "nothing else is taken");
  Properties again;
  require(decode_properties(kept, PacketType::publish, again) == ReasonCode::success,
          "what is kept is valid");
  return 0;
}

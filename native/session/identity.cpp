#include "session/identity.hpp"

#include <new>

#include "base/pool.hpp"
#include "session/access.hpp"

namespace stmqtt {

VerdictTexts VerdictTexts::of(const contract::Verdict& verdict, const std::uint8_t* at) noexcept {
  const auto next = [&at](std::uint32_t bytes) {
    const Bytes text{at, bytes};
    at += bytes;
    return text;
  };
  VerdictTexts texts;
  texts.client_id = next(verdict.client_id_bytes);
  texts.username = next(verdict.username_bytes);
  texts.reason = next(verdict.reason_text_bytes);
  texts.tenant = next(verdict.tenant_bytes);
  texts.device_id = next(verdict.device_id_bytes);
  texts.groups = next(verdict.groups_bytes);
  texts.certificate_name = next(verdict.certificate_name_bytes);
  texts.rules = next(verdict.rules_bytes);
  texts.auth_data = next(verdict.auth_data_bytes);
  return texts;
}

Identity* Identity::make(const IdentityParts& parts) noexcept {
  const std::size_t bytes = sizeof(Identity) + parts.tenant.size() + parts.device_id.size() +
                            parts.groups.size() + parts.certificate_name.size();
  auto* identity = new (pool_allocate(bytes)) Identity;
  identity->expires_at_ms = parts.expires_at_ms;
  identity->limits = parts.limits;
  identity->role = parts.role;
  identity->tenant_bytes_ = static_cast<std::uint16_t>(parts.tenant.size());
  identity->device_id_bytes_ = static_cast<std::uint16_t>(parts.device_id.size());
  identity->groups_bytes_ = static_cast<std::uint16_t>(parts.groups.size());
  identity->certificate_name_bytes_ = static_cast<std::uint16_t>(parts.certificate_name.size());
  std::uint8_t* to = reinterpret_cast<std::uint8_t*>(identity + 1);
  to = store_bytes(to, parts.tenant);
  to = store_bytes(to, parts.device_id);
  to = store_bytes(to, parts.groups);
  store_bytes(to, parts.certificate_name);
  return identity;
}

void Identity::destroy(Identity* identity) noexcept {
  if (identity->access != nullptr) pool_delete(identity->access);
  const std::size_t bytes = identity->block_bytes();
  identity->~Identity();
  pool_free(identity, bytes);
}

}  // namespace stmqtt

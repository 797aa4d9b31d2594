// Who a client is beyond its Client Identifier and username: what its verdict or its listener said.
// One block of memory with its texts, made only where something is known; a plain anonymous client
// has none. It goes with the CONNECT between threads, then belongs to the session, because a Will,
// a queue and an operator's SUBSCRIBE need it after the connection has ended.
// Thread: its owner's.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "contract/records.hpp"

namespace stmqtt {

struct Access;

/// The byte strings of a verdict record, in their order. Borrowed for the call.
struct VerdictTexts {
  Bytes client_id;
  Bytes username;
  Bytes reason;
  Bytes tenant;
  Bytes device_id;
  Bytes groups;            ///< names, NUL between them
  Bytes certificate_name;
  Bytes rules;
  Bytes auth_data;

  /// From behind the fixed part of a record whose lengths were checked.
  [[nodiscard]] static VerdictTexts of(const contract::Verdict& verdict,
                                       const std::uint8_t* at) noexcept;
};

/// Limits of one client; kVerdictUnset32 = the listener's.
struct OwnLimits {
  std::uint32_t max_messages_per_s = contract::kVerdictUnset32;
  std::uint32_t max_bytes_per_s = contract::kVerdictUnset32;
  std::uint32_t max_subscriptions = contract::kVerdictUnset32;
  std::uint32_t max_packet_size = contract::kVerdictUnset32;

  bool operator==(const OwnLimits&) const noexcept = default;
};

struct IdentityParts {
  Bytes tenant;
  Bytes device_id;
  Bytes groups;
  Bytes certificate_name;
  std::uint64_t expires_at_ms = 0;  ///< of the monotonic clock; 0 = never
  contract::Role role = contract::Role::unset;
  OwnLimits limits;

  /// Whether anything is.
  [[nodiscard]] bool known() const noexcept {
    return !tenant.empty() || !device_id.empty() || !groups.empty() || !certificate_name.empty() ||
           expires_at_ms != 0 || role != contract::Role::unset || limits != OwnLimits{};
  }
};

class Identity {
 public:
  [[nodiscard]] static Identity* make(const IdentityParts& parts) noexcept;
  static void destroy(Identity* identity) noexcept;

  [[nodiscard]] Bytes tenant() const noexcept { return {text(), tenant_bytes_}; }
  [[nodiscard]] Bytes device_id() const noexcept {
    return {text() + tenant_bytes_, device_id_bytes_};
  }
  [[nodiscard]] Bytes groups() const noexcept {
    return {text() + tenant_bytes_ + device_id_bytes_, groups_bytes_};
  }
  [[nodiscard]] Bytes certificate_name() const noexcept {
    return {text() + tenant_bytes_ + device_id_bytes_ + groups_bytes_, certificate_name_bytes_};
  }

  std::uint64_t expires_at_ms = 0;  ///< 0 = never
  Access* access = nullptr;  ///< owned; null = nothing is checked
  OwnLimits limits;
  contract::Role role = contract::Role::unset;

 private:
  Identity() noexcept = default;
  ~Identity() = default;
  [[nodiscard]] const std::uint8_t* text() const noexcept {
    return reinterpret_cast<const std::uint8_t*>(this + 1);
  }
  [[nodiscard]] std::size_t block_bytes() const noexcept {
    return sizeof(Identity) + tenant_bytes_ + device_id_bytes_ + groups_bytes_ +
           certificate_name_bytes_;
  }

  std::uint16_t tenant_bytes_ = 0;
  std::uint16_t device_id_bytes_ = 0;
  std::uint16_t groups_bytes_ = 0;
  std::uint16_t certificate_name_bytes_ = 0;
};

}  // namespace stmqtt

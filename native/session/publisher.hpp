// Who published a message, told beside it: User Properties publisher_client_id, publisher_device_id,
// publisher_username and publisher_tenant. They are encoded once, when it is published, and travel
// with it, since its publisher may be gone when it is delivered. A client cannot give them itself.
// In the path: PUBLISH and Wills write them; Session hands them out.
// Thread: the shard's.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/vec.hpp"

namespace stmqtt {

class Session;

/// Writes who publishes to this topic into `buffer`. Values above 1024 bytes are left out.
[[nodiscard]] Bytes write_origin(PoolVector<std::uint8_t>& buffer, const Session& session,
                                 Bytes topic) noexcept;
/// Of what write_origin() made: the encoded property publisher_client_id.
[[nodiscard]] Bytes origin_client(Bytes origin) noexcept;
/// All of its encoded properties.
[[nodiscard]] Bytes origin_all(Bytes origin) noexcept;
/// The encoded property publisher_device_id alone.
[[nodiscard]] Bytes write_origin_device(PoolVector<std::uint8_t>& buffer, Bytes id) noexcept;

/// Whether a client's validated properties have one of those names.
[[nodiscard]] bool claims_origin(Bytes properties) noexcept;
/// Of validated properties those that are forwarded, without those names, to `out`, which has room
/// for all of them; returns how many bytes they are.
[[nodiscard]] std::size_t copy_without_origin(Bytes properties, std::uint8_t* out) noexcept;

}  // namespace stmqtt

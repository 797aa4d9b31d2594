// One connection's protocol state, from accept to close. The session outlives it; the socket is
// behind `transport`. Idle it holds no memory beyond itself.
// Thread: the I/O thread of its connection.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/outlet.hpp"
#include "base/timer_wheel.hpp"
#include "session/identity.hpp"
#include "session/limits.hpp"
#include "session/promise.hpp"
#include "session/tenant_table.hpp"
#include "session/topic_aliases.hpp"
#include "wire/decode.hpp"
#include "wire/types.hpp"

namespace stmqtt {

class Session;
class AuthState;
struct RateState;

/// What connections are called outside of their thread.
struct ConnectionNames {
  [[nodiscard]] static std::uint64_t connection_id(ThreadIndex thread, ClientRef ref) noexcept {
    return static_cast<std::uint64_t>(thread) << 56 |
           static_cast<std::uint64_t>(ref.slot) << 32 | ref.generation;
  }
  [[nodiscard]] static ClientRef client_ref(std::uint64_t connection_id) noexcept {
    return {static_cast<std::uint32_t>(connection_id >> 32) & 0xFFFFFF,
            static_cast<std::uint32_t>(connection_id)};
  }
};

/// What is under a client.
enum class ClientKind : std::uint8_t { socket, link };

enum class ClientState : std::uint8_t {
  await_connect,
  await_verdict,  ///< CONNECT came, or an AUTH after it; TypeScript judges it
  await_auth,     ///< AUTH 0x18 went out; the client's is awaited
  await_store,    ///< admitted; CONNACK waits for its ticket
  active,
  closed,         ///< the host was told; freed at the end of the turn
};

/// A CONNECT on its way from decode to CONNACK: a copy of the packet, so that its views stay valid
/// across the verdict and a move to the session's home thread.
struct ConnectState {
  std::uint8_t* body = nullptr;  ///< from the pool; owned
  std::uint32_t body_bytes = 0;
  wire::ConnectView view;        ///< views into body
  // What the verdict and the limits decided:
  std::uint8_t* override_text = nullptr;  ///< final client id, then username; from the pool; owned
  std::uint32_t override_bytes = 0;
  std::uint8_t* auth_data = nullptr;      ///< of CONNACK; from the pool; owned
  std::uint32_t auth_data_bytes = 0;
  Bytes client_id;               ///< final
  Bytes username;                ///< final
  std::uint32_t session_expiry_s = 0;
  std::uint16_t keep_alive_s = 0;
  std::uint8_t max_qos = 2;
  bool id_assigned = false;
  std::uint16_t tenant_prefix_bytes = 0;  ///< of client_id: "<tenant>.", which clients do not see
  bool authenticated = false;    ///< a verdict stands behind the username
  bool connect_counted = false;  ///< by FlapTable
  bool hooked = false;           ///< accepted, and hooks are asked
  bool judged = false;           ///< a verdict says who it is, or that nobody knows
  ThreadIndex came_to = 0;       ///< the I/O thread that its CONNECT came to
  /// Valid: it is to be a connection beside the one that has this session.
  SessionRef beside;
  TenantPlace tenant_place;
  Identity* identity = nullptr;  ///< owned, until the session has it; null = nothing is known

  [[nodiscard]] static ConnectState* make(std::uint8_t first_byte, Bytes body) noexcept;
  static void destroy(ConnectState* state) noexcept;
};

/// One block for the final Client Identifier and username.
void override_texts(ConnectState& state, Bytes client_id, Bytes username) noexcept;

class Client : public TimerNode {
 public:
  // --- what sending a PUBLISH reads
  Outlet* outlet = nullptr;               ///< borrowed from the transport; outlives the client
  OutgoingAliases* aliases_out = nullptr; ///< owned; null = none may be used
  std::uint32_t max_packet_out = 0xFFFFFFFF;  ///< the client's Maximum Packet Size, bytes
  std::uint16_t send_maximum = 0;         ///< min(max_inflight, the client's Receive Maximum)
  wire::Version version = wire::Version::v311;
  ClientState state = ClientState::await_connect;
  bool problem_information = true;        ///< v5: Request Problem Information was not 0
  bool is_link = false;
  std::uint8_t max_qos = 2;               ///< granted
  bool clean_start = false;               ///< as CONNECT had it

  // --- what receiving reads
  std::uint16_t keep_alive_s = 0;         ///< in force; 0 = off
  std::uint16_t inbound_unacked = 0;      ///< QoS 1/2 from it not finished, towards our limit
  std::uint16_t promised_pubacks = 0;     ///< in the promise queue
  std::uint16_t promised_pubrecs = 0;
  std::uint16_t waits_since = 0;          ///< for room for a PUBLISH, as RoomWaits has it; 0 = none
  std::uint8_t paused = 0;                ///< PauseCause bits
  bool left = false;                      ///< its DISCONNECT was taken, the end of it is put off
  bool shedding = false;                  ///< 3.x: what it publishes is not acknowledged any more
  bool dismissed = false;                 ///< stands in Shard::dismissals_
  bool announced = false;                 ///< its connected event was sent: disconnected must be
  std::uint64_t last_received_ms = 0;
  IncomingAliases* aliases_in = nullptr;  ///< owned; allocated on first use
  RateState* rate = nullptr;              ///< owned; null = its rate is not bounded
  AuthState* auth = nullptr;              ///< owned; null = no Authentication Method
  Session* session = nullptr;             ///< null until admitted
  const Limits* limits = nullptr;         ///< borrowed from the listener, outlives the client
  ConnectState* connecting = nullptr;     ///< owned until CONNACK

  // --- identity
  void* transport = nullptr;              ///< the host's: a socket's connection or a link
  std::uint64_t connection_id = 0;        ///< never reused
  ClientRef ref;
  std::uint32_t listener_id = 0;

  [[nodiscard]] bool active() const noexcept { return state == ClientState::active; }
  [[nodiscard]] bool is_v5() const noexcept { return version == wire::Version::v5; }
};

}  // namespace stmqtt

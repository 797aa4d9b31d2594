// The names of all counters and gauges, one row each. Threads keep their own copies; a reader sums
// them. The order is the order of the numbers that the addon hands to TypeScript.
// Thread: any (plain data).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/counter_block.hpp"
#include "contract/records.hpp"

namespace stmqtt::contract {

// clang-format off
#define STMQTT_COUNTERS(X)                                                                        \
  /* connections */                                                                               \
  X(connections_accepted)        X(connections_closed)                                            \
  X(clients_connected_v31)       X(clients_connected_v311)      X(clients_connected_v5)           \
  X(clients_disconnected_v31)    X(clients_disconnected_v311)   X(clients_disconnected_v5)        \
  X(connections_refused)         X(takeovers)                   X(accepts_paced)                  \
  X(connections_migrated)        X(verdicts_waited)             X(verdicts_stale)                 \
  /* closed connections, in the order of CloseCause */                                             \
  X(closed_none)                     X(closed_client_disconnect)        X(closed_peer_closed)       \
  X(closed_socket_error)             X(closed_keep_alive_timeout)       X(closed_connect_timeout)   \
  X(closed_malformed_packet)         X(closed_protocol_error)           X(closed_packet_too_large)  \
  X(closed_taken_over)               X(closed_refused)                  X(closed_receive_maximum_exceeded)\
  X(closed_topic_alias_invalid)      X(closed_quota_exceeded)           X(closed_administrative)    \
  X(closed_shutting_down)            X(closed_topic_invalid)            X(closed_store_failed)      \
  X(closed_outbound_overflow)        X(closed_version_refused)          X(closed_connections_exceeded)\
  X(closed_capability_refused)       X(closed_link_closed)                                          \
  X(closed_not_authorized)           X(closed_credentials_expired)      X(closed_banned)            \
  X(closed_rate_exceeded)            X(closed_tls_failed)               X(closed_proxy_header_invalid)\
  X(closed_websocket_failed)        X(closed_hook_refused)               X(closed_duplicate_client_id)\
  /* sessions */                                                                                  \
  X(sessions_created)            X(sessions_resumed)            X(sessions_ended)                 \
  X(sessions_expired)            X(subscriptions_added)         X(subscriptions_removed)          \
  /* bytes and packets */                                                                         \
  X(bytes_received)              X(bytes_sent)                                                    \
  X(packets_received)            X(packets_sent)                                                  \
  X(publish_received_qos0)       X(publish_received_qos1)       X(publish_received_qos2)          \
  X(publish_sent_qos0)           X(publish_sent_qos1)           X(publish_sent_qos2)              \
  /* routing */                                                                                   \
  X(publish_unmatched)           X(match_cache_hits)            X(match_cache_misses)             \
  X(messages_crossed)            X(retained_set)                X(retained_cleared)               \
  X(retained_delivered)          X(wills_published)             X(shared_redispatched)            \
  /* drops, by cause */                                                                           \
  X(dropped_outbound_watermark)  X(dropped_queue_full_newest)   X(dropped_queue_full_oldest)      \
  X(dropped_queue_bytes)         X(dropped_expired)             X(dropped_packet_too_large)       \
  X(dropped_stale_receiver)      X(dropped_no_local)            X(dropped_offline_qos0)           \
  X(dropped_shared_no_member)    X(dropped_memory_budget)       X(dropped_session_ended)          \
  X(dropped_refused_by_receiver) X(publish_refused_quota)       X(publish_refused_not_authorized) \
  /* pauses, by cause */                                                                          \
  X(paused_outbox)               X(paused_verdict)              X(paused_store)                   \
  X(paused_queue_full)           X(paused_memory_budget)                                          \
  /* promises and the store */                                                                    \
  X(tickets_issued)              X(tickets_granted)             X(tickets_failed)                 \
  X(promises_dropped_on_close)                                                                    \
  /* the crossing */                                                                              \
  X(events_sent)                 X(event_bytes)                 X(commands_received)              \
  X(commands_stale)              X(events_dropped)               X(log_records_suppressed)                                       \
  /* loop */                                                                                      \
  X(loop_turns)                  X(wakeups)                     X(busy_ns)                        \
  /* gauges (a thread adds and subtracts) */                                                      \
  X(messages_queued)             X(messages_in_flight)          X(message_bytes)                  \
  X(outbound_bytes)                                                                               \
  /* packets by type; PUBLISH is counted by QoS above, and here where it was not valid */         \
  X(publish_received_invalid)                                                                     \
  X(packets_received_invalid)    X(packets_received_connect)    X(packets_received_puback)        \
  X(packets_received_pubrec)     X(packets_received_pubrel)     X(packets_received_pubcomp)       \
  X(packets_received_subscribe)  X(packets_received_unsubscribe)                                  \
  X(packets_received_pingreq)    X(packets_received_disconnect) X(packets_received_auth)          \
  X(packets_sent_connack)        X(packets_sent_puback)         X(packets_sent_pubrec)            \
  X(packets_sent_pubrel)         X(packets_sent_pubcomp)        X(packets_sent_suback)            \
  X(packets_sent_unsuback)       X(packets_sent_pingresp)       X(packets_sent_disconnect)        \
  /* connections refused before they were clients, in the order of CloseCause */                  \
  X(refused_none)                    X(refused_client_disconnect)       X(refused_peer_closed)      \
  X(refused_socket_error)            X(refused_keep_alive_timeout)      X(refused_connect_timeout)  \
  X(refused_malformed_packet)        X(refused_protocol_error)          X(refused_packet_too_large) \
  X(refused_taken_over)              X(refused_refused)                 X(refused_receive_maximum_exceeded)\
  X(refused_topic_alias_invalid)     X(refused_quota_exceeded)          X(refused_administrative)   \
  X(refused_shutting_down)           X(refused_topic_invalid)           X(refused_store_failed)     \
  X(refused_outbound_overflow)       X(refused_version_refused)         X(refused_connections_exceeded)\
  X(refused_capability_refused)      X(refused_link_closed)                                         \
  X(refused_not_authorized)          X(refused_credentials_expired)     X(refused_banned)           \
  X(refused_rate_exceeded)           X(refused_tls_failed)              X(refused_proxy_header_invalid)\
  X(refused_websocket_failed)        X(refused_hook_refused)               X(refused_duplicate_client_id)\
  X(dropped_shutting_down)                                                                          \
  /* limits */                                                                                      \
  X(paused_rate)                 X(publish_refused_rate)                                            \
  /* WebSocket: requests that were answered with 101, and those that were not, by cause */         \
  X(websocket_upgrades)                                                                            \
  X(websocket_refused_malformed) X(websocket_refused_too_large) X(websocket_refused_not_upgrade)   \
  X(websocket_refused_version)   X(websocket_refused_subprotocol)                                  \
  X(websocket_refused_path)      X(websocket_refused_origin)                                  \
  /* TLS handshakes; those that failed by cause too */                                             \
  X(tls_handshakes)              X(tls_resumed)                 X(tls_handshakes_failed)          \
  X(tls_failed_unfinished)       X(tls_failed_not_tls)          X(tls_failed_version)             \
  X(tls_failed_certificate)      X(tls_failed_refused)          X(tls_failed_protocol)           \
  /* access */                                                                                     \
  X(denied_publish)              X(denied_subscribe)            X(denied_will)                      \
  X(denied_delivery)             X(tenant_violations)                                            \
  /* limits, and who is kept out */                                                               \
  X(refused_address_connections)                                                                  \
  X(refused_address_rate)        X(refused_tenant_connections)  X(accepts_held)                   \
  X(addresses_uncounted)         X(bans_flapping)               X(bans_expired)                   \
  X(bans_not_kept)               X(packets_sent_auth)           X(connections_put_off)          \
  /* hooks; held is a gauge */                                                                     \
  X(hook_publishes)              X(hook_held)                   X(hook_timeouts)                  \
  X(hook_errors)                 X(hook_verdicts_late)          X(dropped_by_hook)                \
  X(hook_changes)                X(paused_hooks)                  \
  /* devices: `me` that was refused, and other devices' topics */                                  \
  X(me_refused_no_id)            X(me_refused_unfit_id)         X(me_refused_pattern)             \
  X(device_denied_publish)       X(device_denied_subscribe)     X(device_denied_will)            \
  /* logs: evicted and dropped in the order of LogsBudgetCause; the last three are gauges */       \
  X(publish_logged)              X(logs_created)                                                   \
  X(logs_evicted_filters)        X(logs_evicted_bytes)          X(logs_evicted_memory)             \
  X(dropped_log_filters)         X(dropped_log_bytes)           X(dropped_log_memory)              \
  X(dropped_log_overrun)         X(dropped_log_deleted)         X(log_replayed)                    \
  X(log_handovers)                                                                                 \
  X(logs)                        X(log_messages)                X(log_bytes)                     \
  /* DirectWrites, by outcome */                                                                    \
  X(direct_writes_delivered)     X(direct_writes_dropped)       X(direct_writes_queued)            \
  /* hooks again */                                                                                \
  X(hook_subscribes)             X(hook_notices)                X(hook_notices_left_out)         \
  /* delayed messages; the last two are gauges */                                                   \
  X(delayed_taken)               X(delayed_published)           X(delayed_expired)                 \
  X(delayed_invalid)             X(delayed_not_held)            X(delayed_dropped_full)            \
  X(delayed_dropped_end)         X(delayed_messages)            X(delayed_bytes)                 \
  /* connections of a Client Identifier beside its first; connected is a gauge */                  \
  X(duplicates_admitted)         X(duplicates_connected)                                          \
  /* hooks on deliveries; asked is a gauge, waits are by the bound that was reached */              \
  X(hook_deliveries)             X(hook_deliveries_asked)       X(dropped_by_deliver_hook)       \
  X(hook_waits_receiver)         X(hook_waits_thread)           X(hook_waits_events)
// clang-format on

/// Index of a counter in a thread's block.
enum class Counter : std::uint16_t {
#define STMQTT_COUNTER_ENUM(name) name,
  STMQTT_COUNTERS(STMQTT_COUNTER_ENUM)
#undef STMQTT_COUNTER_ENUM
      count_
};
inline constexpr std::size_t kCounterCount = static_cast<std::size_t>(Counter::count_);

/// One thread's counters. Thread: the owner writes, any reads.
using Counters = CounterBlock<Counter, kCounterCount>;

/// The counter of connections that ended for this cause.
[[nodiscard]] constexpr Counter closed_counter(CloseCause cause) noexcept {
  return static_cast<Counter>(static_cast<std::size_t>(Counter::closed_none) +
                              static_cast<std::size_t>(cause));
}
static_assert(closed_counter(CloseCause::duplicate_client_id) ==
              Counter::closed_duplicate_client_id);

/// The counter of connections that ended for this cause before they were admitted.
[[nodiscard]] constexpr Counter refused_counter(CloseCause cause) noexcept {
  return static_cast<Counter>(static_cast<std::size_t>(Counter::refused_none) +
                              static_cast<std::size_t>(cause));
}
static_assert(refused_counter(CloseCause::duplicate_client_id) ==
              Counter::refused_duplicate_client_id);

/// Counter names by index, for the addon's layout export.
inline constexpr const char* kCounterNames[kCounterCount] = {
#define STMQTT_COUNTER_NAME(name) #name,
    STMQTT_COUNTERS(STMQTT_COUNTER_NAME)
#undef STMQTT_COUNTER_NAME
};

}  // namespace stmqtt::contract

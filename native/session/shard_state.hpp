// What a shard is built with, and all that it holds; what it does with it is shard.hpp's. Apart so that
// each can be read by itself.
// Thread: the shard's I/O thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/json_writer.hpp"
#include "contract/counters.hpp"
#include "contract/records.hpp"
#include "route/match_cache.hpp"
#include "session/access.hpp"
#include "session/delayed.hpp"
#include "session/deliver_desk.hpp"
#include "session/denials.hpp"
#include "session/device_scope.hpp"
#include "session/dismissal.hpp"
#include "session/filter_names.hpp"
#include "session/hook_desk.hpp"
#include "session/hook_notices.hpp"
#include "session/host.hpp"
#include "session/log_handovers.hpp"
#include "session/log_rules.hpp"
#include "session/packet_tap.hpp"
#include "session/session.hpp"
#include "session/slot_table.hpp"
#include "session/tables.hpp"
#include "session/topic_logs.hpp"

namespace stmqtt {

enum class Verdicts : std::uint8_t { none, wanted };  ///< whether CONNECT waits for one

struct ShardOptions {
  ThreadIndex thread = 0;
  unsigned threads = 1;  ///< of the broker
  std::size_t match_cache_bytes = 4 << 20;
  std::string client_id_prefix = "st-mqttd-";  ///< of assigned Client Identifiers
  std::uint32_t verdict_timeout_ms = 10'000;
  bool authenticate = false;  ///< every CONNECT waits for a verdict
  bool enhanced_auth = false; ///< so does one with an Authentication Method
};

/// What became of received bytes.
struct Received {
  std::size_t consumed = 0;
  std::uint32_t wanted = 0;  ///< bytes of the whole next packet, 0 = not known yet
};

class ShardState {
 public:
  ShardState(const ShardState&) = delete;
  ShardState& operator=(const ShardState&) = delete;

 protected:
  enum TimerKind : std::uint8_t { kClientTimer = 1, kSessionTimer = 2, kRetryTimer = 3,
                                   kSweepTimer = 4, kTraceTimer = 5, kRateTimer = 6, kAuthTimer = 7,
                                   kBanTimer = 8, kHookTimer = 9, kLogTimer = 10,
                                   kSubscribeHookTimer = 11, kSealTimer = 12, kDelayTimer = 13,
                                   kDeliveryAskTimer = DeliveryAsk::kTimer, kHookLineTimer = 15 };

  ShardState(BrokerTables& tables, Gate& gate, Host& host, contract::Counters& counters,
             ShardOptions options, std::uint64_t now_ms) noexcept
      : tables_(tables),
        gate_(gate),
        host_(host),
        counters_(counters),
        options_(std::move(options)),
        cache_(options_.match_cache_bytes),
        wheel_(now_ms),
        access_(host),
        writes_(host, counters),
        notices_(hooks_, host, counters),
        desk_(hooks_, host, counters, wheel_, hook_line_timer_, options_.thread),
        cx_{counters, gate,    promises_, scratch_, losers_,
            access_,  writes_, notices_,  desk_,    now_ms},
        logs_(tables.logs, host, counters, {wheel_, log_timer_, cx_.now_ms}, options_.thread,
              options_.threads),
        handovers_(tables.logs, logs_, host, {wheel_, seal_timer_, cx_.now_ms}, options_.thread,
                   options_.threads),
        delayed_(tables.delayed, counters, {wheel_, delay_timer_, cx_.now_ms}),
        tap_(host) {
    retry_timer_.kind = kRetryTimer;
    sweep_timer_.kind = kSweepTimer;
    trace_timer_.kind = kTraceTimer;
    ban_timer_.kind = kBanTimer;
    log_timer_.kind = kLogTimer;
    seal_timer_.kind = kSealTimer;
    delay_timer_.kind = kDelayTimer;
    hook_line_timer_.kind = kHookLineTimer;
  }
  ~ShardState() = default;

  [[nodiscard]] Session* find_session(const SessionRef& ref) const noexcept {
    return sessions_.find(ref.slot, ref.generation);
  }

  BrokerTables& tables_;
  Gate& gate_;
  Host& host_;
  contract::Counters& counters_;
  ShardOptions options_;

  SlotTable<Client> clients_;
  SlotTable<Session> sessions_;
  MatchCache cache_;
  TimerWheel wheel_;
  PromiseQueue promises_;
  FormScratch scratch_;
  PoolVector<SessionRef> losers_;
  AccessChecks access_;
  DirectWrites writes_;
  DeviceScope device_;
  Denials denials_;
  HookDesk hooks_;
  HookNotices notices_;
  FilterNames renamed_;
  TimerNode hook_line_timer_;  ///< for desk_, which outlives what comes below
  DeliverDesk desk_;
  SendContext cx_;
  TopicLogs logs_;
  LogHandovers handovers_;
  DelayedMessages delayed_;

  wire::PublishView publish_;                  ///< of the packet in hand
  PoolVector<std::uint8_t> internal_;          ///< internal form of the topic in hand
  PoolVector<std::uint8_t> origin_;            ///< who publishes the message in hand
  PoolVector<std::uint8_t> properties_;        ///< forwarded properties that had to be copied
  PoolVector<std::uint32_t> subscription_ids_; ///< of the delivery in hand
  std::vector<MessageRef> retained_batch_;
  /// Why a PUBLISH is not taken as others are.
  enum NoPublish : std::uint8_t {
    kDraining = 1,  ///< see begin_drain()
    kOverRate = 2,  ///< the packet in hand is to be refused
  };
  std::uint8_t no_publish_ = 0;
  /// Keys of sessions that ended while messages were on their way to other threads, and those of
  /// them for which the host has a mark. Owned.
  PoolVector<SessionKey*> resting_;
  PoolVector<SessionKey*> marked_;
  RingQueue<Dismissal> dismissals_;            ///< beyond kDismissalsPerTurn
  std::uint32_t dismissed_ = 0;                ///< in this turn
  std::vector<Client*> dead_;                  ///< closed in this turn, freed at its end
  std::vector<ClientRef> outbox_paused_;
  std::vector<ClientRef> retrying_;            ///< paused: queue_full or memory
  TimerNode retry_timer_;
  TimerNode sweep_timer_;
  TimerNode trace_timer_;
  TimerNode ban_timer_;
  TimerNode log_timer_;
  TimerNode seal_timer_;
  TimerNode delay_timer_;
  std::uint32_t ban_slot_ = 0;  ///< the check of clients goes on here
  PacketTap tap_;
  const LogRules* log_rules_ = nullptr;
  std::uint8_t finest_log_ = 0;
  std::int64_t reported_bytes_ = 0;
  std::uint64_t reported_tickets_ = 0;
  std::uint64_t reported_hits_ = 0;
  std::uint64_t reported_misses_ = 0;
  std::uint64_t last_alert_ms_ = 0;
  std::uint64_t last_memory_alert_ms_ = 0;
};

}  // namespace stmqtt

// What waits for hooks on one thread: the set of hooks in force, what it says about topics, and the
// PUBLISH packets that wait for their verdicts. Those of one session stand in one FIFO: the first that
// a hook must see, and everything that came behind it, so that verdicts that come in any order are
// applied in the order of the packets. Where no hook asks and nothing waits, awake() is false, and that
// test is all that a PUBLISH pays.
// Thread: the shard's.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/hash.hpp"
#include "base/message.hpp"
#include "base/ring_queue.hpp"
#include "base/timer_wheel.hpp"
#include "base/vec.hpp"
#include "contract/records.hpp"
#include "route/decision_cache.hpp"
#include "route/hook_set.hpp"
#include "session/directory.hpp"
#include "session/promise.hpp"
#include "session/slot_table.hpp"

namespace stmqtt {

/// The byte strings of a hook's verdict, in their order. Borrowed for the call.
struct HookVerdictTexts {
  Bytes reason;
  Bytes topic;
  Bytes properties;
  Bytes payload;

  /// From behind the fixed part of a record whose lengths were checked.
  [[nodiscard]] static HookVerdictTexts of(const contract::HookVerdict& verdict,
                                           const std::uint8_t* at) noexcept {
    HookVerdictTexts texts;
    const auto next = [&](std::uint32_t bytes) {
      const Bytes taken{at, bytes};
      at += bytes;
      return taken;
    };
    texts.reason = next(verdict.reason_text_bytes);
    texts.topic = next(verdict.topic_bytes);
    texts.properties = next(verdict.properties_bytes);
    texts.payload = next(verdict.payload_bytes);
    return texts;
  }
};

/// A PUBLISH, a Will or an acknowledgement that waits.
struct HeldItem {
  enum class State : std::uint8_t {
    waiting,  ///< for its verdict
    pass,
    drop,
    answer,   ///< a refusal, or the answer to a resend: it only keeps its place
  };
  MessageRef message;  ///< none in an answer
  MessageRef text;     ///< its payload is the Reason String; may be none
  ClientRef client;    ///< to be acknowledged; nobody for QoS 0, a Will, a client that is gone
  std::uint64_t deadline_ms = 0;
  std::uint32_t delay_s = 0;    ///< it is to wait so long, behind its hooks
  std::uint16_t packet_id = 0;  ///< 0 = QoS 0, or of no client
  std::uint8_t qos = 0;
  State state = State::pass;
  bool drops_late = false;      ///< without a verdict in time it is dropped
  wire::ReasonCode reason = wire::ReasonCode::success;  ///< of drop and answer
};

/// Of one session; it outlives the session where that ends first.
struct HeldQueue : TimerNode {
  SessionRef session;
  std::uint32_t slot = 0;
  std::uint32_t first = 0;      ///< number of the front item
  std::size_t bytes = 0;        ///< of its messages
  RingQueue<HeldItem> items;
  SessionKey* key = nullptr;    ///< owned; of a session that has ended and rests until this is empty
  ClientRef paused;             ///< not read from, because it is full
  bool paused_for_any = false;  ///< read from again as soon as one item has gone
};

/// A SUBSCRIBE that waits in its connection's read buffer.
struct SubscribeWait : TimerNode {
  ClientRef client;
  PoolVector<std::uint8_t> answers;  ///< one for each filter, as the verdict has them
  std::uint32_t read = 0;            ///< of answers
  bool answered = false;
  bool refused = false;              ///< all of it: there was no answer in time
  bool drops_late = false;
};

class HookDesk {
 public:
  /// Bounds of one FIFO; one message always fits.
  static constexpr std::uint32_t kMaxItems = 1024;
  static constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

  HookDesk() noexcept = default;
  HookDesk(const HookDesk&) = delete;
  HookDesk& operator=(const HookDesk&) = delete;

  /// From the next packet on; null = no hooks.
  void set(std::shared_ptr<const HookSet> hooks) noexcept;

  // --- what is asked before anything else
  [[nodiscard]] bool awake() const noexcept { return awake_; }
  /// A PUBLISH waits, of whomever.
  [[nodiscard]] bool holds() const noexcept { return queues_.count() > 0; }
  /// A hook of this kind is registered, for whatever topic.
  [[nodiscard]] bool wants(std::uint8_t kind) const noexcept { return (kinds_ & kind) != 0; }

  [[nodiscard]] const HookNeeds& needs(Bytes topic, std::uint64_t topic_hash) noexcept;
  [[nodiscard]] HookNeeds needs_of_filter(Bytes filter) const noexcept {
    return hooks_ == nullptr ? HookNeeds{} : hooks_->needs_of_filter(filter);
  }

  // --- queues
  [[nodiscard]] HeldQueue* find(const SessionRef& session) const noexcept;
  /// By the number in a verdict; `index` = which of its items. Null: it has gone.
  [[nodiscard]] HeldQueue* find(std::uint64_t id, std::uint32_t& index) const noexcept;
  [[nodiscard]] HeldQueue& open(const SessionRef& session) noexcept;
  /// It is empty.
  void close(HeldQueue& queue) noexcept;
  /// The session is `now` from here on: another one of the same client.
  void rename(HeldQueue& queue, const SessionRef& now) noexcept;
  [[nodiscard]] HeldQueue* find_by_key(const SessionKey& key) const noexcept;
  /// What the next item of the queue will be called, on this thread.
  [[nodiscard]] static std::uint64_t next_id(const HeldQueue& queue) noexcept {
    return std::uint64_t{queue.slot} << 32 | (queue.first + queue.items.size());
  }
  [[nodiscard]] static bool is_full(const HeldQueue& queue, std::size_t bytes) noexcept {
    return queue.items.size() >= kMaxItems ||
           (!queue.items.empty() && queue.bytes + bytes > kMaxBytes);
  }
  template <class F>
  void each(F&& visit) noexcept {
    for (std::uint32_t slot = 0; slot < queues_.slots(); ++slot) {
      if (HeldQueue* queue = queues_.at(slot)) visit(*queue);
    }
  }

  // --- SUBSCRIBE
  /// One waits, of whomever.
  [[nodiscard]] bool holds_subscribes() const noexcept { return !subscribes_.empty(); }
  [[nodiscard]] SubscribeWait* find_subscribe(ClientRef client) const noexcept {
    const auto found = subscribes_.find(name_of(client));
    return found == subscribes_.end() ? nullptr : found->second.get();
  }
  SubscribeWait& open_subscribe(ClientRef client) {
    auto& wait = subscribes_[name_of(client)] = std::make_unique<SubscribeWait>();
    wait->client = client;
    return *wait;
  }
  void close_subscribe(ClientRef client) noexcept { subscribes_.erase(name_of(client)); }

  /// Clients that wait until there is room for events.
  std::vector<ClientRef> crowded_out;
  /// An item is on its way out: its acknowledgement does not queue again.
  bool releasing = false;

 private:
  [[nodiscard]] static std::uint64_t name_of(const SessionRef& session) noexcept {
    return std::uint64_t{session.slot} << 32 | session.generation;
  }
  [[nodiscard]] static std::uint64_t name_of(ClientRef client) noexcept {
    return std::uint64_t{client.slot} << 32 | client.generation;
  }
  void look() noexcept { awake_ = (kinds_ & kHookPublish) != 0 || queues_.count() > 0; }

  std::shared_ptr<const HookSet> hooks_;
  std::uint8_t kinds_ = 0;
  bool awake_ = false;
  /// By topic the number of one of classes_; kMaxClasses = looked up each time.
  DecisionCache cache_;
  static constexpr std::size_t kMaxClasses = 255;
  std::vector<HookNeeds> classes_;
  HookNeeds looked_up_;
  std::uint64_t serial_ = 0;
  std::uint64_t sets_ = 0;
  SlotTable<HeldQueue> queues_;
  std::vector<std::uint32_t> numbers_;  ///< by slot: of the item that comes next
  std::unordered_map<std::uint64_t, HeldQueue*> by_session_;
  std::unordered_map<std::uint64_t, std::unique_ptr<SubscribeWait>> subscribes_;
};

}  // namespace stmqtt

// One I/O thread's share of the broker: its clients, the sessions that live here, and what MQTT
// says to do with each packet. Knows nothing of sockets or threads: Host is what surrounds it, so
// that the model tests run several of these in one thread.
// In the path: frame -> decode -> [here] -> trie -> fan-out -> outbound queue.
// Thread: its own I/O thread for everything.
#pragma once

#include <cstdint>
#include <string>

#include "session/closing.hpp"
#include "session/listing.hpp"
#include "session/shard_state.hpp"
#include "wire/scan.hpp"

namespace stmqtt {

class Shard : public ConnectionNames, private ShardState {
 public:
  Shard(BrokerTables& tables, Gate& gate, Host& host, contract::Counters& counters,
        ShardOptions options, std::uint64_t now_ms) noexcept;
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // --- connections
  /// A new connection; CONNECT must come within the limits' time.
  Client& open(Outlet& outlet, void* transport, const Limits& limits, std::uint32_t listener_id,
               ClientKind kind) noexcept;
  /// A connection that another shard gave up with Host::move_client(), with what it carried. Call
  /// settle() once the transport knows its client.
  Client& arrive(Outlet& outlet, void* transport, const Limits& limits, std::uint32_t listener_id,
                 ClientKind kind, std::uint64_t connection_id, ConnectState* connecting) noexcept;
  void settle(Client& client) noexcept { place(client); }
  /// Handles whole packets. Stops early where the client gets paused or closed.
  [[nodiscard]] Received on_bytes(Client& client, Bytes bytes) noexcept;
  /// The connection ended by itself.
  /// `detail`: for the log; may be empty.
  void on_end(Client& client, contract::CloseCause cause, Bytes detail = {}) noexcept;
  /// The outbound queue fell below its low watermark.
  void on_writable(Client& client) noexcept;
  /// So long its bytes waited for us: that is not taken from its time for CONNECT.
  void on_waited(Client& client, std::uint64_t waited_ms) noexcept;

  // --- other threads and TypeScript
  void on_item(CrossItem& item) noexcept;
  void on_verdict(ClientRef client, const contract::Verdict& verdict,
                  const VerdictTexts& texts) noexcept;
  /// Closes the clients that are shown by this name, on whatever thread, or that one of each.
  void disconnect(Bytes client_id, std::uint32_t instance, wire::ReasonCode reason,
                  Bytes reason_text) noexcept;
  /// Says goodbye to every client: DISCONNECT 0x8B, flush, close.
  /// Returns how many had got everything that was sent, and not everything that they should.
  std::size_t close_all() noexcept;
  /// The broker stops: from here on PUBLISH packets of clients are neither taken nor acknowledged, so
  /// that what was acknowledged can still be delivered. Everything else goes on.
  void begin_drain() noexcept { no_publish_ |= kDraining; }
  /// Closes whoever has nothing more to get; returns how many are left, waiting for acknowledgements,
  /// windows, queues or the store. Links are not waited for: whoever stops the broker has them.
  [[nodiscard]] std::size_t close_finished() noexcept;
  void on_uncongested() noexcept;
  [[nodiscard]] bool has_dismissals() const noexcept { return !dismissals_.empty(); }  // more turns
  /// There are new bans: whoever they concern is disconnected, some in each turn.
  void check_bans() noexcept;

  // --- options that change while it runs; verdicts: for requests that come from now on
  void set_verdicts(Verdicts of_all, Verdicts by_method, std::uint32_t timeout_ms) noexcept {
    options_.authenticate = of_all == Verdicts::wanted;
    options_.enhanced_auth = by_method == Verdicts::wanted;
    options_.verdict_timeout_ms = timeout_ms;
  }
  void set_match_cache(std::size_t max_bytes) noexcept { cache_.set_max_bytes(max_bytes); }
  /// Borrowed; to be told again when they change.
  void set_log_rules(const LogRules& rules) noexcept;
  void set_rules(std::shared_ptr<const RuleSet> rules) noexcept;
  void set_device(std::shared_ptr<const DeviceOptions> to) noexcept { device_.set_options(to); }
  /// Hooks for what comes from now on; null = none.
  void set_hooks(std::shared_ptr<const HookSet> hooks) noexcept;
  void on_hook_verdict(const contract::HookVerdict& verdict,
                       const HookVerdictTexts& texts) noexcept;
  /// PUBLISH packets wait for hooks.
  [[nodiscard]] bool holds() const noexcept { return hooks_.holds(); }
  /// Whatever waits for hooks does not any longer: their policy is applied.
  void end_holds() noexcept;
  /// The same for deliveries, from here on.
  void end_asks() noexcept;
  /// Logs of messages that nobody has subscribed to; for queries too.
  [[nodiscard]] TopicLogs& logs() noexcept { return logs_; }
  [[nodiscard]] const Denials& denials() const noexcept { return denials_; }
  void add_trace(TraceRef trace) noexcept;
  void remove_trace(std::uint32_t id) noexcept { tap_.remove(id); }
  /// Packets are to be shown: see show_outbound().
  [[nodiscard]] bool taps() const noexcept { return tap_.active(); }
  /// The queue has more than the `from` bytes that were shown before.
  void show_outbound(const Client& client, const OutboundQueue& queue, std::size_t from) noexcept {
    tap_.outbound(client, queue, from, cx_.now_ms);
  }

  // --- time
  void set_now(std::uint64_t now_ms) noexcept { cx_.now_ms = now_ms; }
  /// set_now() for who has it more exactly: of the turn's beginning.
  void set_turn(std::uint64_t turn_ns) noexcept {
    cx_.now_ms = turn_ns / 1'000'000;
    cx_.deliveries.begin(stamp_of(turn_ns));
  }
  /// What the turn wrote is flushed by now.
  void measure_turn(std::uint64_t turn_ns, std::uint64_t now_ns, LatencyHistogram& into) noexcept;
  [[nodiscard]] std::uint64_t now_ms() const noexcept { return cx_.now_ms; }
  void on_timers() noexcept;
  [[nodiscard]] std::uint64_t next_timer_ms() const noexcept { return wheel_.next_due_ms(); }
  /// Promises, alerts, budget; once at the end of each turn, before flushing.
  void end_turn() noexcept;

  // --- queries: shard_queries.cpp, shard_query_listings.cpp, shard_query_changes.cpp
  /// Where the session that this name means lives; invalid if there is none.
  [[nodiscard]] SessionRef find_home(Bytes client_id,
                                     std::uint32_t instance = contract::kAnyInstance) const noexcept;
  /// Who is there of the connections of this thread's session that was found by its name alone.
  [[nodiscard]] Instance who_is_there(const SessionRef& found) const noexcept;
  /// Appends rows of sessions of this thread from `slot` on. Returns where to go on, or kListed.
  /// A session that is there all the time is listed once, whatever comes and goes meanwhile.
  [[nodiscard]] std::uint32_t list_sessions(std::uint32_t slot, const PageBounds& bounds,
                                            JsonWriter& rows) noexcept;
  /// One session with its connection, Will and window. False: it is not here.
  [[nodiscard]] bool describe_session(const SessionRef& ref, const PageBounds& bounds,
                                      JsonWriter& row) noexcept;
  /// A message of the broker's own, from no session and without acknowledgement: shard_fanout.cpp.
  /// Left out if its Topic Name is not one.
  void publish_own(const MessageParts& parts) noexcept;
  /// shard_write.cpp: a message for one client of this thread, whatever it has subscribed to;
  /// Host::written() gets the outcome. `parts`: with the topic as the client is to see it.
  void direct_write(const SessionRef& ref, const contract::DirectWrite& write, Bytes client_id,
                    MessageParts& parts) noexcept;
  /// Closes the session's connection. False: it has none.
  [[nodiscard]] bool kick(const SessionRef& ref, wire::ReasonCode reason,
                          Bytes reason_text) noexcept;
  /// Closes all other connections beside the first of this session's Client Identifier, on whatever
  /// thread. False: there are none.
  [[nodiscard]] bool kick_beside(const SessionRef& ref, wire::ReasonCode reason,
                                 Bytes reason_text) noexcept;
  /// Subscriptions of the sessions of this thread from `place` on, which moves behind the last row.
  void list_subscriptions(SubscriptionPlace& place, const PageBounds& bounds,
                          JsonWriter& rows) noexcept;
  /// Of one session: `place.slot` is its own, and kListed behind the last row. False: not here.
  [[nodiscard]] bool list_subscriptions_of(const SessionRef& ref, SubscriptionPlace& place,
                                           const PageBounds& bounds, JsonWriter& rows) noexcept;
  /// Subscriptions of this thread's sessions that match a Topic Name; of groups all members.
  void list_routes(Bytes topic, RoutePlace& place, const PageBounds& bounds,
                   JsonWriter& rows) noexcept;
  /// Retained messages from `cursor` on, and their payloads in `data`. Empty filter = all.
  void list_retained(Bytes filter, RetainedCursor& cursor, const PageBounds& bounds,
                     JsonWriter& rows, std::string& data) noexcept;
  [[nodiscard]] bool describe_retained(Bytes topic, const PageBounds& bounds, JsonWriter& row,
                                       std::string& data) noexcept;
  /// Subscribers are not told. False: there was none.
  [[nodiscard]] bool delete_retained(Bytes topic) noexcept;
  /// The Client Identifier of a session of this thread; empty if it has ended.
  [[nodiscard]] Bytes name_of(const SessionRef& ref) const noexcept;
  /// Ends a session, its connection first. False: it is not here.
  [[nodiscard]] bool terminate(const SessionRef& ref) noexcept;
  /// As if its client had sent it; Host::answer() gets the Reason Code that the acknowledgement
  /// would have, once it could be sent. False: the session is not here.
  [[nodiscard]] bool subscribe_for(const SessionRef& ref, const wire::SubscriptionView& view,
                                   std::uint64_t query_id) noexcept;
  [[nodiscard]] bool unsubscribe_for(const SessionRef& ref, Bytes topic_filter,
                                     const wire::FilterView& filter,
                                     std::uint64_t query_id) noexcept;

  [[nodiscard]] Client* find_client(ClientRef ref) const noexcept {
    return clients_.find(ref.slot, ref.generation);
  }
  [[nodiscard]] std::uint32_t client_count() const noexcept { return clients_.count(); }
  [[nodiscard]] std::uint32_t session_count() const noexcept { return sessions_.count(); }
  [[nodiscard]] const MatchCache& cache() const noexcept { return cache_; }

 private:
  friend class DelaySteps;
  friend class RoomWaits;
  enum class Handled : std::uint8_t { done, later };

  // shard.cpp: dispatch
  Handled on_packet(Client& client, const wire::Scan& scan, Bytes frame) noexcept;
  Client& make_client(Outlet& outlet, void* transport, const Limits& limits,
                      std::uint32_t listener_id, ClientKind kind) noexcept;
  void bury(Client& client) noexcept;
  void pause(Client& client, PauseCause cause) noexcept;
  void resume(Client& client, PauseCause cause) noexcept;
  void report_memory() noexcept;
  void shed_logs() noexcept;

  // shard_rates.cpp: bounded rates
  void bound_rate(Client& client) noexcept;
  void bound_rate_anew(Client& client) noexcept;
  [[nodiscard]] bool may_pass(Client& client, const wire::Scan& scan) noexcept;
  /// What the packet in hand was taken out of the buckets for comes again.
  void passes_again(Client& client) noexcept;
  [[nodiscard]] bool refuse_now(Client& client) noexcept;

  // shard_bans.cpp
  [[nodiscard]] bool is_banned(const Client& client, Bytes client_id, Bytes username) const noexcept;
  void refuse_banned(Client& client) noexcept;
  /// One connect of the Client Identifier more. False: it was one too many, and is refused.
  [[nodiscard]] bool count_connect(Client& client, Session* existing) noexcept;
  void step_ban_check() noexcept;

  // shard_auth.cpp: enhanced authentication
  void on_packet_before_connack(Client& client, wire::PacketType type, std::uint8_t first_byte,
                                Bytes body) noexcept;
  [[nodiscard]] bool ask_auth(const Client& client, Bytes method, Bytes data) noexcept;
  void challenge(Client& client, Bytes data) noexcept;
  void count_auth_sent() noexcept;
  void on_auth(Client& client, std::uint8_t first_byte, Bytes body) noexcept;
  [[nodiscard]] bool on_auth_verdict(Client& client, const contract::Verdict& verdict,
                                     const VerdictTexts& texts) noexcept;
  [[nodiscard]] bool renew_identity(Client& client, const contract::Verdict& verdict,
                                    const VerdictTexts& texts) noexcept;
  void on_auth_timer(AuthState& auth) noexcept;

  // shard_connect.cpp: CONNECT to CONNACK
  void on_connect(Client& client, const wire::Scan& scan, Bytes body) noexcept;
  [[nodiscard]] Closing check_connect(const Client& client, ConnectState& state) const noexcept;
  void request_verdict(Client& client) noexcept;
  [[nodiscard]] bool apply_verdict_limits(Client& client,
                                          const contract::Verdict& verdict) noexcept;
  void place(Client& client) noexcept;
  void admit(Client& client, Session* existing) noexcept;
  [[nodiscard]] Session* make_session(Client& client, SessionRef resting,
                                      Directory::Inserted& how) noexcept;
  [[nodiscard]] Session& new_session(const Client& client, SessionKey* key) noexcept;
  void prepare_session(Client& client, Session& session) noexcept;
  void finish_connect(Client& client) noexcept;
  [[nodiscard]] bool connack_fits(const Client& client) const noexcept;
  void send_connack(Client& client) noexcept;
  void refuse(Client& client, const Closing& closing) noexcept;

  // shard_duplicates.cpp: connections of one Client Identifier beside its first
  void refuse_other_user(Client& client) noexcept;
  void join_beside(Client& client, const Session& first) noexcept;
  void place_beside(Client& client) noexcept;

  // shard_access.cpp: tenants and rules
  [[nodiscard]] bool identify(Client& client, const contract::Verdict* verdict,
                              const VerdictTexts& texts) noexcept;
  [[nodiscard]] Bytes own_device(const Client& client, Bytes client_id) const noexcept;
  void give_access(const Client& client, Identity*& identity) noexcept;
  [[nodiscard]] bool admit_will(Client& client) noexcept;
  [[nodiscard]] TenantFit to_internal(const Identity* identity, const Limits& limits,
                                      Bytes& topic) noexcept;
  /// Makes publish_'s topic the internal one. False: not taken, and what had to be said was said.
  [[nodiscard]] bool admit_publish(Client& client, const Session& session,
                                   std::uint64_t& topic_hash) noexcept {
    const bool outside = session.limits().tenant_mode != TenantMode::off &&
                         !enter_tenant(client, session, topic_hash);
    if (outside) [[unlikely]] return false;
    if (session.identity->access == nullptr) return true;
    const RuleRequest request{RuleAction::publish, publish_.qos, publish_.retain};
    if (access_.may_publish(session, request, publish_.topic, topic_hash)) [[likely]] return true;
    tell_denied(client, session, request);
    return false;
  }
  [[nodiscard]] bool enter_tenant(Client& client, const Session& session,
                                  std::uint64_t& topic_hash) noexcept;
  void tell_denied(Client& client, const Session& session, const RuleRequest& request) noexcept;
  void deny_publish(Client& client) noexcept;
  [[nodiscard]] wire::ReasonCode admit_filter(Session& session, Bytes& filter,
                                              std::uint8_t& qos) noexcept;
  void guard(Session& session) noexcept;
  [[nodiscard]] bool is_wholly_allowed(const Session& session) noexcept;
  void note_denied(const Client& who, const char* what, Bytes topic, std::string_view by) noexcept;

  // shard_device.cpp: `me`, and whose topics devices may use
  [[nodiscard]] bool enter_device(Client& client) noexcept;
  [[nodiscard]] bool stay_in_scope(Client& client, std::uint64_t topic_hash) noexcept;
  [[nodiscard]] bool admit_device_filter(Session& session, Bytes& filter) noexcept;
  [[nodiscard]] bool admit_device_filter_inside(Session& session, Bytes filter,
                                                std::uint8_t qos) noexcept;
  [[nodiscard]] bool may_will_to(const Client& client, Bytes topic, const MeSubject& who) noexcept;
  [[nodiscard]] bool is_foreign(const Session& session, Bytes topic) const noexcept {
    return (session.device & kDeviceScoped) != 0 && may_be_device_topic(topic) &&
           find_device(topic).found && !session.is_own(find_device(topic));
  }
  void refuse_me(const Client* client, const char* what, Bytes topic, MeFit fit) noexcept;
  void note_scope(const Client* client, const char* what, Bytes topic, const char* why) noexcept;

  // shard_publish.cpp: PUBLISH and fan-out
  [[nodiscard]] static bool is_owed(const Client& client) noexcept;
  Handled on_publish(Client& client, std::uint8_t first_byte, Bytes body, Bytes frame) noexcept;
  void refuse_publish(Client& client) noexcept;
  [[nodiscard]] bool resolve_alias(Client& client) noexcept;
  void accept_qos2(Session& session, Client* client, std::uint16_t packet_id,
                   Publication& publication, const MatchResult& match,
                   std::uint64_t topic_hash) noexcept;
  void fan_out(Publication& publication, const MatchResult& match,
               std::uint64_t topic_hash) noexcept;
  void deliver_partition(Publication& publication, const MatchResult& match,
                         const Partition& partition) noexcept;
  [[nodiscard]] bool resolve_hits(const Publication& publication, const MatchResult& match,
                                  const Receiver& receiver, Session& session,
                                  DeliveryOptions& options) noexcept;
  void deliver_shared(Publication& publication, SharedMembers& members, std::uint64_t topic_hash,
                      SessionRef exclude, std::uint8_t tried) noexcept;
  [[nodiscard]] bool deliver_member(Publication& publication, const SharedMember& member) noexcept;
  /// `publisher`: whose message it is; null where nobody knows any more.
  void route_message(Message& message, const Session* publisher) noexcept;
  wire::ReasonCode keep_unmatched(Publication& publication, const Limits* limits) noexcept;
  void set_retained(Publication& publication) noexcept;
  [[nodiscard]] bool a_receiver_is_full(const MatchResult& match) const noexcept;
  [[nodiscard]] bool needs_ticket(bool persistent, const MatchResult& match,
                                  const MessageParts& parts) const noexcept;

  // shard_hooks.cpp: what waits for hooks
  enum class Holding : std::uint8_t { no, held, later };
  [[nodiscard]] Holding hold_publish(Client& client, const MessageParts& parts,
                                     std::uint64_t topic_hash) noexcept;
  void hold(HeldQueue& queue, HeldItem&& item) noexcept;
  [[nodiscard]] bool hold_will(const Session& session, const MessageRef& message) noexcept;
  [[nodiscard]] bool hold_ack(const Client& client, PromiseKind kind, std::uint16_t packet_id,
                              wire::ReasonCode reason) noexcept;
  void join_held(Client& client, std::uint16_t packet_id) noexcept;
  void pause_for_hooks(Client& client, HeldQueue& queue) noexcept;
  [[nodiscard]] bool wait_for_held(Client& client) noexcept;
  [[nodiscard]] bool ask_hooks(const Client* client, const Session& session,
                               const MessageParts& parts, std::uint64_t id) noexcept;
  void apply_verdict(HeldQueue& queue, HeldItem& item, const contract::HookVerdict& verdict,
                     const HookVerdictTexts& texts) noexcept;
  void tell_origin(const HeldQueue& queue, MessageParts& parts) noexcept;
  void on_hook_timer(HeldQueue& queue) noexcept;
  void release_held(HeldQueue& queue) noexcept;
  void release_one(const HeldQueue& queue, HeldItem& item) noexcept;
  void publish_held(Session* session, Client* client, const HeldItem& item) noexcept;
  [[nodiscard]] bool orphan_held(Session& session) noexcept;
  void adopt_held(const Session& session) noexcept;
  void drop_held() noexcept;
  // shard_deliver_hooks.cpp
  [[nodiscard]] bool send_ahead(Session& session, Publication& publication,
                                const DeliveryOptions& options) noexcept;
  void on_delivery_verdict(const contract::HookVerdict& verdict,
                           const HookVerdictTexts& texts) noexcept;
  void judge_delivery(const DeliveryAsk& ask, HookState state, MessageRef changed) noexcept;
  void end_ask(const DeliveryAsk& ask) noexcept;
  void call_hook_line() noexcept;
  // shard_subscribe_hooks.cpp
  [[nodiscard]] bool pass_subscribe_hooks(Client& client, std::uint8_t first_byte,
                                          Bytes body) noexcept;
  [[nodiscard]] bool ask_subscribe_hooks(const Client& client,
                                         const wire::SubscribeView& view) noexcept;
  void on_subscribe_verdict(const contract::HookVerdict& verdict, Bytes answers) noexcept;
  void on_subscribe_hook_timer(SubscribeWait& wait) noexcept;
  [[nodiscard]] wire::ReasonCode hooked_subscription(SubscribeWait& wait,
                                                     wire::SubscriptionView& one) noexcept;
  [[nodiscard]] Bytes inner_filter(const Session& session, Bytes filter) noexcept;
  void tell_subscription(const Session&, const wire::FilterView& filter, contract::Notice) noexcept;
  [[nodiscard]] bool ask_connect_hooks(Client& client) noexcept;
  // shard_acks.cpp: acknowledgements both ways
  void on_ack(Client& client, std::uint8_t first_byte, Bytes body) noexcept;
  void on_pubrel(Client& client, std::uint16_t packet_id) noexcept;
  void send_ack(Client& client, wire::PacketType type, std::uint16_t packet_id,
                wire::ReasonCode reason, Bytes text = {}) noexcept;
  void send_codes(Client& client, PromiseKind kind, std::uint16_t packet_id,
                  std::span<const wire::ReasonCode> codes) noexcept;
  // shard_promises.cpp
  /// Sends an acknowledgement, or queues it behind the ticket and those that wait already.
  /// `text`: its payload is the Reason String.
  void promise_ack(Client& client, PromiseKind kind, std::uint16_t packet_id,
                   wire::ReasonCode reason, Ticket ticket, MessageRef text = {}) noexcept;
  void join_promised_pubrec(Client& client, std::uint16_t packet_id) noexcept;
  void promise_codes(Client& client, PromiseKind kind, std::uint16_t packet_id,
                     std::span<const wire::ReasonCode> codes,
                     PoolVector<SubscriptionName>&& subscriptions, Ticket ticket) noexcept;
  void keep_subscriptions(Session& session, const Promise& promise) noexcept;
  void take_back_subscriptions(Session& session, const Promise& promise) noexcept;
  void keep_promises() noexcept;
  void keep_promise(Promise& promise, TicketResult::Outcome outcome) noexcept;

  // shard_subscribe.cpp
  void on_subscribe(Client& client, std::uint8_t first_byte, Bytes body) noexcept;
  [[nodiscard]] wire::ReasonCode subscribe_one(
      Session& session, std::uint8_t max_qos, const wire::SubscriptionView& view,
      std::uint32_t subscription_id, PoolVector<SubscriptionName>& made, Ticket& ticket) noexcept;
  [[nodiscard]] wire::ReasonCode unsubscribe_one(
      Session& session, Bytes topic_filter, const wire::FilterView& filter, Ticket& ticket) noexcept;
  void on_unsubscribe(Client& client, std::uint8_t first_byte, Bytes body) noexcept;
  void drop_scans(Session& session, SubscriptionKey key) noexcept;
  void pump_scans(Session& session) noexcept;
  [[nodiscard]] bool pump_scan(Session& session, RetainedScan& scan) noexcept;

  // shard_stop.cpp
  void dismiss(Client& client, Dismissal&& dismissal) noexcept;
  void end_dismissed(std::uint32_t most) noexcept;
  void send_disconnect(const SessionRef& ref, wire::ReasonCode reason, Bytes reason_text) noexcept;
  // shard_handovers.cpp: what logs have, for their first subscriber
  void on_log_batch(LogBatch& batch) noexcept;
  [[nodiscard]] bool pump_handover(Session& session, RetainedScan& scan) noexcept;

  // shard_lifecycle.cpp: closing, wills, expiry
  void on_disconnect(Client& client, std::uint8_t first_byte, Bytes body) noexcept;
  /// Ends an admitted or arriving client; sends DISCONNECT where there is something to say.
  void close(Client& client, const Closing& closing) noexcept;
  void detach_session(Session& session) noexcept;
  void redispatch(Session& session, bool session_ends) noexcept;
  void end_session(Session& session, contract::SessionEndCause cause) noexcept;
  void set_members_connected(Session& session, bool connected) noexcept;
  void rest_key(Session& session) noexcept;
  void forget_resting() noexcept;
  void schedule_session(Session& session) noexcept;
  void schedule_client(Client& client) noexcept;
  void on_client_timer(Client& client) noexcept;
  [[nodiscard]] std::uint64_t latest_arrival_ms(const Client& client) const noexcept;
  void on_session_timer(Session& session) noexcept;
  void mark_full(Session& session) noexcept;
  // shard_will.cpp
  void take_will(Session& session, const wire::ConnectView& view) noexcept;
  void publish_will(Session& session) noexcept;
  void drop_will(Session& session) noexcept;

  // shard_events.cpp
  void emit_connected(Client& client, std::uint8_t flags) noexcept;
  void emit_disconnected(const Client& client, const Closing& closing) noexcept;
  void emit_refused(const Client& client, const Closing& closing) noexcept;
  /// Whether somebody may want records of this level: cheap, for before they are made.
  [[nodiscard]] bool may_log(contract::LogLevel level) const noexcept {
    return static_cast<std::uint8_t>(level) <= finest_log_;
  }
  void log(contract::LogLevel level, contract::LogModule module, const Client& client,
           const std::string& text) noexcept;
  void log_connect(const Client& client) noexcept;
  void log_subscribe(const Client& client, const wire::SubscriptionView& view,
                     wire::ReasonCode outcome) noexcept;
  void schedule_trace_end() noexcept;
  void emit_alerts() noexcept;
  void alert_memory() noexcept;

  // shard_queries.cpp
  void write_row(const Session& session, const PageBounds& bounds, JsonWriter& row) const noexcept;
  /// Rows of one session; returns where its listing goes on, kAllKeys = at its end.
  [[nodiscard]] std::uint64_t write_subscriptions(const Session& session, std::uint64_t key,
                                                  const PageBounds& bounds, std::uint32_t& count,
                                                  JsonWriter& rows) const noexcept;
  void write_retained(const Message& message, const PageBounds& bounds, JsonWriter& rows,
                      std::string& data) const noexcept;
  void promise_answer(Session& session, PromiseKind kind, std::uint64_t query_id,
                      wire::ReasonCode code, PoolVector<SubscriptionName>&& made,
                      Ticket ticket) noexcept;
};

}  // namespace stmqtt

#include "engine/engine.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/clock.hpp"
#include "engine/command_lengths.hpp"

namespace stmqtt {
namespace {

/// A turn is much shorter: this is for a thread that could not be started.
constexpr std::chrono::seconds kCloseWait{5};

std::unique_ptr<Store> make_store(const EngineOptions& options) {
  switch (options.store) {
    case StoreKind::memory:
      return make_memory_store();
    case StoreKind::trial:
      return make_trial_store(options.trial_store);
  }
  return nullptr;
}

}  // namespace

Engine::Engine(EngineOptions options, const Limits& link_limits, JavascriptWake wake)
    : options_(std::move(options)),
      live_(options_),
      max_connections_(options_.max_connections),
      wake_(wake),
      tables_(TrieOptions{options_.shared_strategy}),
      store_(make_store(options_)) {
  set_link_limits(link_limits);
  tables_.max_memory_bytes.store(options_.max_memory_bytes, std::memory_order_relaxed);
  tables_.flaps.set(options_.flapping);
  tables_.tenants.set(options_.tenants);
  for (unsigned index = 0; index < options_.io_threads; ++index) {
    workers_.push_back(std::make_unique<Worker>(*this, static_cast<ThreadIndex>(index), *store_));
  }
}

Engine::~Engine() { stop(); }

SystemError Engine::open() {
  for (auto& worker : workers_) {
    if (const SystemError error = worker->open()) return error;
  }
  return {};
}

SystemError Engine::start() {
  if (state_ != State::idle) return {};
  for (auto& worker : workers_) {
    if (const SystemError error = worker->start()) return error;
    state_ = State::running;
  }
  return {};
}

ListenResult Engine::listen(const EngineListenSpec& spec) {
  ListenResult result;
  if (state_ == State::stopped) {
    result.error = {EINVAL, "listen"};
    return result;
  }
  const ListenerId id = next_listener_.load(std::memory_order_relaxed);
  if (id >= kMaxListeners) {
    result.error = {EMFILE, "listen"};
    return result;
  }
  const auto tls = tls_contexts_.find(spec.tls);
  if (spec.tls != 0 && tls == tls_contexts_.end()) {
    result.error = {EINVAL, "listen"};
    return result;
  }
  Limits limits = spec.limits;
  std::unique_ptr<SharedRates> together;
  if ((spec.total_messages_per_s | spec.total_bytes_per_s) != 0) {
    together = std::make_unique<SharedRates>();
    together->messages.set(spec.total_messages_per_s);
    together->bytes.set(spec.total_bytes_per_s);
    limits.together = together.get();
  }
  auto entry = std::make_unique<ListenerEntry>(id, keep_limits(limits), spec);
  entry->together = std::move(together);
  if (spec.tls != 0) entry->tls.set(tls->second);
  entry->channels.store(keep_channels(spec.channels), std::memory_order_release);
  result.error = entry->socket.open(spec.socket);
  if (result.error) return result;
  result.id = id;
  result.address = entry->socket.address();
  result.port = entry->socket.port();
  entry->thread = static_cast<ThreadIndex>(result.id % workers_.size());
  ListenerEntry* shared = entry.get();
  listener_entries_.push_back(std::move(entry));
  auto& chunk = listeners_[id / kListenerChunk];
  if (chunk.load(std::memory_order_relaxed) == nullptr) {
    listener_chunks_.push_back(std::make_unique<ListenerChunk>());
    chunk.store(listener_chunks_.back().get(), std::memory_order_release);
  }
  (*chunk.load(std::memory_order_relaxed))[id % kListenerChunk].store(shared,
                                                                     std::memory_order_release);
  next_listener_.store(id + 1, std::memory_order_release);
  workers_[shared->thread]->put(ListenerChange{shared, ListenerChange::Kind::add});
  return result;
}

void Engine::unlisten(ListenerId id) {
  ListenerEntry* entry = listener(id);
  if (entry == nullptr || entry->removed.load(std::memory_order_relaxed)) return;
  entry->removed.store(true, std::memory_order_relaxed);
  entry->admission.store(Admission::judged, std::memory_order_relaxed);
  if (state_ == State::stopped) return;
  if (state_ == State::idle) return entry->socket.close();  // its thread will pass it over
  workers_[entry->thread]->put(ListenerChange{entry, ListenerChange::Kind::remove});
  // Whoever listens at the same address next must find it free.
  std::unique_lock lock(closing_mutex_);
  closing_.wait_for(lock, kCloseWait, [entry] { return entry->closed; });
}

void Engine::listener_closed(ListenerEntry& entry) {
  const std::lock_guard lock(closing_mutex_);
  entry.closed = true;
  closing_.notify_all();
}

ListenerEntry* Engine::listener(ListenerId id) noexcept {
  if (id >= kMaxListeners) return nullptr;
  ListenerChunk* chunk = listeners_[id / kListenerChunk].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : (*chunk)[id % kListenerChunk].load(std::memory_order_acquire);
}

const Limits* Engine::keep_limits(const Limits& limits) {
  for (const auto& kept : kept_limits_) {
    if (*kept == limits) return kept.get();
  }
  kept_limits_.push_back(std::make_unique<const Limits>(limits));
  return kept_limits_.back().get();
}

void Engine::set_link_limits(Limits limits) {
  for (unsigned flags = 0; flags <= contract::kLinkFlags; ++flags) {
    limits.dynamic_filters = (flags & contract::kLinkDynamicFilters) != 0;
    limits.monitors = (flags & contract::kLinkMonitor) != 0;
    link_limits_[flags].store(keep_limits(limits), std::memory_order_release);
  }
}

bool Engine::set_limits(ListenerId id, const Limits& limits, std::uint32_t max_connections) {
  if (id == 0) {
    set_link_limits(limits);
    return true;
  }
  ListenerEntry* entry = listener(id);
  if (entry == nullptr || entry->removed.load(std::memory_order_relaxed)) return false;
  entry->limits.store(keep_limits(limits), std::memory_order_release);
  entry->max_connections.store(max_connections, std::memory_order_relaxed);
  return true;
}

bool Engine::set_admission(ListenerId id, Admission admission) noexcept {
  ListenerEntry* entry = listener(id);
  if (entry == nullptr || entry->removed.load(std::memory_order_relaxed)) return false;
  entry->admission.store(admission, std::memory_order_release);
  return true;
}

void Engine::table_counts(std::span<std::int64_t> into) const noexcept {
  const TrieCounts trie = tables_.trie.counts();
  const std::uint64_t counts[kTableCounts] = {trie.subscriptions, trie.shared_subscriptions,
                                              trie.nodes, tables_.retained.count(),
                                              tables_.retained.bytes(), trie.filters};
  for (std::size_t at = 0; at < into.size() && at < kTableCounts; ++at) {
    into[at] = static_cast<std::int64_t>(counts[at]);
  }
}

const Limits* Engine::limits_of(ListenerId id) noexcept {
  if (id == 0) return &link_limits();
  ListenerEntry* entry = listener(id);
  return entry == nullptr ? nullptr : entry->limits.load(std::memory_order_acquire);
}

void Engine::configure(const LiveOptions& live) {
  live_ = live;
  max_connections_.store(live.max_connections, std::memory_order_relaxed);
  tables_.max_memory_bytes.store(live.max_memory_bytes, std::memory_order_relaxed);
  tables_.trie.set_strategy(live.shared_strategy);
  if (state_ == State::stopped) return;
  // Each thread has a copy of its own, so that nothing is shared where they are used.
  const auto shared = std::make_shared<const LiveOptions>(live);
  tables_.flaps.set(live.flapping);
  tables_.tenants.set(live.tenants);
  for (auto& worker : workers_) worker->put(Settings{shared});
}

void Engine::set_rules(std::shared_ptr<const RuleSet> rules) {
  if (state_ == State::stopped) return;
  for (auto& worker : workers_) worker->put(RulesChange{rules});
}

void Engine::set_hooks(std::shared_ptr<const HookSet> hooks) {
  if (state_ == State::stopped) return;
  for (auto& worker : workers_) worker->put(HooksChange{hooks});
}

/// Where a client's session is now; it may have moved when the thread looks.
ThreadIndex Engine::home_of(Bytes client_id) const noexcept {
  const SessionRef ref = tables_.directory.find_named(client_id).first();
  return ref.valid() ? ref.thread : ThreadIndex{0};
}

bool Engine::submit(std::span<const std::uint8_t> commands) {
  std::vector<CommandBytes> batches(workers_.size());
  const auto add = [&](std::size_t thread, std::span<const std::uint8_t> record) {
    auto& bytes = batches[thread % batches.size()].records;
    bytes.insert(bytes.end(), record.begin(), record.end());
  };
  bool good = true;
  std::size_t at = 0;
  while (at < commands.size()) {
    contract::RecordHeader header;
    const std::size_t room = commands.size() - at;
    good = room >= sizeof header;
    if (!good) break;
    std::memcpy(&header, commands.data() + at, sizeof header);
    const auto kind = static_cast<contract::CommandKind>(header.kind);
    good = header.record_bytes <= room && header.record_bytes % 8 == 0 &&
           claimed_bytes(kind, commands.data() + at, header.record_bytes) <= header.record_bytes;
    if (!good) break;
    const auto record = commands.subspan(at, header.record_bytes);
    switch (kind) {
      case contract::CommandKind::verdict: {
        contract::Verdict verdict;
        std::memcpy(&verdict, record.data(), sizeof verdict);
        add(verdict.connection_id >> 56, record);
        break;
      }
      case contract::CommandKind::link_open: {
        contract::LinkOpen open;
        std::memcpy(&open, record.data(), sizeof open);
        const auto thread = static_cast<ThreadIndex>(open.link_id % workers_.size());
        good = add_link(open.link_id, thread);
        if (good) add(thread, record);
        break;
      }
      case contract::CommandKind::link_bytes:
      case contract::CommandKind::link_credit:
      case contract::CommandKind::link_close: {
        contract::LinkBytes link;  // all three begin with the link's id
        std::memcpy(&link, record.data(), sizeof link.header + sizeof link.link_id);
        const std::lock_guard lock(links_mutex_);
        const auto found = link_threads_.find(link.link_id);
        if (found != link_threads_.end()) add(found->second, record);
        break;
      }
      case contract::CommandKind::direct_write: {
        contract::DirectWrite write;
        std::memcpy(&write, record.data(), sizeof write);
        add(home_of({record.data() + sizeof write, write.client_id_bytes}), record);
        break;
      }
      case contract::CommandKind::disconnect:
      case contract::CommandKind::publish:
        add(0, record);
        break;
      case contract::CommandKind::drain:
        for (std::size_t thread = 0; thread < batches.size(); ++thread) add(thread, record);
        break;
      case contract::CommandKind::hook_verdict: {
        contract::HookVerdict verdict;
        std::memcpy(&verdict, record.data(), sizeof verdict);
        add(verdict.hook_id >> 56, record);
        break;
      }
      case contract::CommandKind::query: {
        contract::Query query;
        std::memcpy(&query, record.data(), sizeof query);
        add(query.thread, record);
        break;
      }
    }
    if (!good) break;
    at += header.record_bytes;
  }
  if (state_ != State::stopped) {
    for (std::size_t thread = 0; thread < batches.size(); ++thread) {
      if (!batches[thread].records.empty()) workers_[thread]->put(std::move(batches[thread]));
    }
  }
  return good;
}

std::int64_t Engine::drain_events(std::uint8_t* into, std::size_t room) {
  // Cleared first: what is published from now on wakes again.
  wake_pending_.store(false, std::memory_order_seq_cst);
  std::size_t total = 0;
  // Another worker first each time, so that a flood from one cannot starve the others.
  const std::size_t first = next_reader_++;
  for (std::size_t step = 0; step < workers_.size(); ++step) {
    Worker& worker = *workers_[(first + step) % workers_.size()];
    const std::int64_t moved = worker.events().read(into + total, room - total);
    if (moved < 0) {
      if (total > 0) break;
      return moved;
    }
    total += static_cast<std::size_t>(moved);
  }
  return static_cast<std::int64_t>(total);
}

void Engine::take_events(EventBuffer& into) {
  for (auto& worker : workers_) into.take_over(worker->events());
}

void Engine::counters(std::span<std::int64_t> into) const {
  std::ranges::fill(into.first(std::min(into.size(), contract::kCounterCount)), 0);
  for (const auto& worker : workers_) add_up(*worker, into);
}

bool Engine::thread_counters(std::size_t index, std::span<std::int64_t> into) const {
  std::ranges::fill(into.first(std::min(into.size(), contract::kCounterCount)), 0);
  if (index >= workers_.size()) return false;
  add_up(*workers_[index], into);
  return true;
}

bool Engine::trace(const TraceSpec& spec) {
  std::erase_if(traces_, [](const TraceRef& trace) { return trace->ended(); });
  if (state_ == State::stopped || traces_.size() >= kMaxTraces) return false;
  for (const TraceRef& trace : traces_) {
    if (trace->spec.id == spec.id) return false;
  }
  const std::uint64_t end_ms = now_ms() + spec.seconds * std::uint64_t{1000};
  traces_.push_back(
      std::make_shared<Trace>(spec, end_ms, static_cast<std::uint32_t>(workers_.size())));
  for (auto& worker : workers_) worker->put(TraceChange{traces_.back(), spec.id});
  return true;
}

void Engine::untrace(std::uint32_t id) {
  if (state_ == State::stopped) return;
  for (auto& worker : workers_) worker->put(TraceChange{nullptr, id});
}

void Engine::latency(std::span<std::int64_t> into) const {
  std::ranges::fill(into.first(std::min(into.size(), contract::kLatencyNumbers)), 0);
  for (const auto& worker : workers_) worker->latency().add_to(into);
}

void Engine::add_up(const Worker& worker, std::span<std::int64_t> into) {
  for (std::size_t index = 0; index < into.size() && index < contract::kCounterCount; ++index) {
    into[index] += worker.counters().read(index);
  }
}

void Engine::stop() {
  if (state_ == State::stopped) return;
  state_ = State::stopped;
  store_->stop();
  // All are joined before the first is destroyed: each may still wake the others.
  for (auto& worker : workers_) worker->request_stop();
  for (auto& worker : workers_) worker->join();
  for (auto& entry : listener_entries_) entry->socket.close();
}

ThreadIndex Engine::choose_thread() noexcept {
  if (workers_.size() == 1) return 0;
  const std::uint32_t turn = next_thread_.fetch_add(1, std::memory_order_relaxed);
  auto chosen = static_cast<ThreadIndex>(turn % workers_.size());
  if (options_.placement == Placement::round_robin) return chosen;
  for (std::size_t step = 1; step < workers_.size(); ++step) {
    const auto other = static_cast<ThreadIndex>((turn + step) % workers_.size());
    if (workers_[other]->open_connections() < workers_[chosen]->open_connections()) chosen = other;
  }
  return chosen;
}

bool Engine::add_link(std::uint32_t link_id, ThreadIndex thread) {
  const std::lock_guard lock(links_mutex_);
  const bool is_new = link_threads_.emplace(link_id, thread).second;
  if (is_new) tables_.told.fetch_add(1, std::memory_order_relaxed);
  return is_new;
}

void Engine::forget_link(std::uint32_t link_id, std::uint32_t hop) {
  {
    const std::lock_guard lock(links_mutex_);
    if (link_threads_.erase(link_id) > 0) tables_.told.fetch_sub(1, std::memory_order_relaxed);
  }
  if (hop == 0) return;
  for (auto& worker : workers_) worker->put(LinkGone{link_id, hop});
}

void Engine::thread_quiet() noexcept {
  quiet_threads_.fetch_add(1, std::memory_order_seq_cst);
  if (!all_quiet()) return;
  for (const auto& worker : workers_) worker->wake();
}

void Engine::wake_javascript() noexcept {
  if (!wake_pending_.exchange(true, std::memory_order_seq_cst)) wake_.call(wake_.context);
}

}  // namespace stmqtt

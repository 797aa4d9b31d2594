// Messages from publishers to subscribers through the broker, every delivery checked.
// Payload: u32 publisher, u32 sequence number of that publisher, u64 time of sending (open loop: time
// it was due, so that a late generator or a blocked broker counts as latency), then filling.
// Thread: the generator's only one.
#include "flow.hpp"

#include <algorithm>
#include <bit>
#include <csignal>
#include <cstring>

#include "ledger.hpp"

namespace stmqtt::bench {

namespace {

constexpr std::uint32_t kStampBytes = 16;
constexpr std::uint32_t kOpenLoopRemembered = 1u << 14;
constexpr std::uint64_t kLongestSleepNs = 100'000'000;
constexpr std::uint32_t kPooledRemembered = 64;
constexpr std::uint64_t kStallNs = 5'000'000'000;

volatile std::sig_atomic_t was_interrupted = 0;
bool interrupted() { return was_interrupted != 0; }

struct Stamp {
  std::uint32_t publisher;
  std::uint32_t sequence;
  std::uint64_t time_ns;
};
static_assert(sizeof(Stamp) == kStampBytes);

struct Publisher {
  std::vector<PublishTemplate> templates;
  std::vector<std::uint32_t> copies;  // by template
  std::vector<std::uint16_t> free_ids;
  std::size_t window = 0;  // free_ids when nothing is in flight
  std::uint64_t due_ns = 0;
  std::uint32_t random = 1;
  bool in_turn_list = false;
};

struct Counts {
  std::uint64_t delivered = 0;
  std::uint64_t published = 0;
  std::uint64_t bytes = 0;
};

class Flow {
 public:
  Flow(const Target& target, const FlowPlan& plan, const Processes& broker)
      : target_(target), plan_(plan), broker_(broker), loop_(target) {}

  void run(Report& report);

  // Loop's handler.
  void on_read() { read_ns_ = now_ns(); }
  void on_frame(Connection& connection, const Frame& frame);
  void on_turn();
  void on_close(Connection& connection) {
    fail("measuring: the broker closed connection " + std::to_string(connection.index));
  }

 private:
  void prepare();
  [[nodiscard]] std::uint32_t remembered() const;
  [[nodiscard]] bool is_pooled() const { return plan_.limit == FlowPlan::Limit::pooled; }
  void deliver(Connection& connection, const Frame& frame);
  void acknowledge(Connection& connection, PacketType type, std::uint16_t packet_id, std::uint8_t flags);
  void want_turn(std::uint32_t index);
  void fill(std::uint32_t index, std::uint64_t now);
  void fill_pooled(std::uint64_t now);
  void publish(std::uint32_t index, std::uint64_t time_ns);
  [[nodiscard]] bool may_publish(std::uint32_t index) const;
  [[nodiscard]] std::uint64_t until_due(std::uint64_t now) const;
  void run_for(double seconds);
  void drain();
  [[nodiscard]] bool is_idle() const;

  Target target_;
  const FlowPlan& plan_;
  const Processes& broker_;
  Loop loop_;
  std::vector<Connection> receivers_;
  std::vector<Connection> spares_;
  std::vector<Connection> senders_;
  std::vector<Publisher> publishers_;
  Ledger ledger_;
  std::vector<std::uint32_t> turn_list_;
  std::uint64_t read_ns_ = 0;
  std::uint32_t pool_turn_ = 0;  // whose turn it is
  std::uint64_t interval_ns_ = 0;  // open loop: between two messages of one publisher
  bool publishing_ = false;
  Histogram latency_;
  Counts counts_;
  std::uint64_t refused_ = 0;
};

std::uint32_t Flow::remembered() const {
  if (plan_.rate > 0) return kOpenLoopRemembered;
  return is_pooled() ? kPooledRemembered : std::bit_ceil(2 * plan_.undelivered);
}

void Flow::prepare() {
  receivers_.resize(plan_.filters.size());
  connect_all(loop_, target_, receivers_, "bench-sub-", 0);
  for (std::size_t i = 0; i < receivers_.size(); ++i) {
    subscribe(loop_, target_, receivers_[i], plan_.filters[i], plan_.qos);
  }
  spares_.resize(plan_.spare_connections);
  connect_all(loop_, target_, spares_, "bench-spare-", 0);
  const std::size_t count = plan_.topics.size();
  senders_.resize(count);
  connect_all(loop_, target_, senders_, "bench-pub-", 0);
  ledger_.reset(count, receivers_.size(), remembered());
  publishers_.resize(count);
  turn_list_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Publisher& publisher = publishers_[i];
    for (const FlowPlan::Topic& topic : plan_.topics[i]) {
      publisher.templates.push_back(publish_template(target_.version, topic.name, plan_.qos, plan_.payload_bytes, 0));
      publisher.copies.push_back(topic.copies);
    }
    publisher.random = static_cast<std::uint32_t>(i) * 2'654'435'761u + 1;
    if (plan_.qos > 0) publisher.window = std::min<std::uint32_t>(plan_.window, senders_[i].window);
    for (std::size_t id = publisher.window; id > 0; --id) {
      publisher.free_ids.push_back(static_cast<std::uint16_t>(id));
    }
  }
  if (plan_.rate > 0) interval_ns_ = 1'000'000'000ull * count / plan_.rate;
}

void Flow::on_frame(Connection& connection, const Frame& frame) {
  switch (frame.type()) {
    case kPublish:
      deliver(connection, frame);
      break;
    case kPuback:
    case kPubcomp:
      if (frame.body_bytes > 2 && frame.body[2] >= 0x80) ++refused_;
      publishers_[connection.index].free_ids.push_back(get_u16(frame.body));
      want_turn(connection.index);
      break;
    case kPubrec:
      if (frame.body_bytes > 2 && frame.body[2] >= 0x80) {
        ++refused_;
        publishers_[connection.index].free_ids.push_back(get_u16(frame.body));
      } else {
        acknowledge(connection, kPubrel, get_u16(frame.body), 2);
      }
      break;
    case kPubrel:
      acknowledge(connection, kPubcomp, get_u16(frame.body), 0);
      break;
    case kDisconnect:
      fail("measuring: the broker sent DISCONNECT");
    default:
      break;
  }
}

void Flow::deliver(Connection& connection, const Frame& frame) {
  Published message;
  if (!read_publish(frame, target_.version, message) || message.payload_bytes != plan_.payload_bytes) {
    fail("measuring: a delivered PUBLISH is damaged");
  }
  if (message.qos == 1) acknowledge(connection, kPuback, message.packet_id, 0);
  if (message.qos == 2) acknowledge(connection, kPubrec, message.packet_id, 0);
  Stamp stamp;
  std::memcpy(&stamp, message.payload, sizeof stamp);
  if (stamp.publisher >= publishers_.size()) fail("measuring: a delivered PUBLISH is not ours");
  const Ledger::Verdict verdict = ledger_.deliver(connection.index, stamp.publisher, stamp.sequence);
  if (verdict == Ledger::Verdict::unexpected) return;
  ++counts_.delivered;
  counts_.bytes += frame.total_bytes;
  latency_.record(read_ns_ > stamp.time_ns ? read_ns_ - stamp.time_ns : 0);
  if (verdict == Ledger::Verdict::last_copy) want_turn(stamp.publisher);
}

void Flow::acknowledge(Connection& connection, PacketType type, std::uint16_t packet_id, std::uint8_t flags) {
  const std::uint8_t packet[4] = {static_cast<std::uint8_t>(type << 4 | flags), 2,
                                  static_cast<std::uint8_t>(packet_id >> 8), static_cast<std::uint8_t>(packet_id)};
  connection.out.insert(connection.out.end(), packet, packet + 4);
  loop_.flush_later(connection);
}

void Flow::want_turn(std::uint32_t index) {
  Publisher& publisher = publishers_[index];
  if (publisher.in_turn_list) return;
  publisher.in_turn_list = true;
  turn_list_.push_back(index);
}

bool Flow::may_publish(std::uint32_t index) const {
  if (plan_.qos > 0 && publishers_[index].free_ids.empty()) return false;
  if (interval_ns_ == 0 && !is_pooled() && ledger_.undelivered(index) >= plan_.undelivered) return false;
  return ledger_.may_publish(index);
}

void Flow::publish(std::uint32_t index, std::uint64_t time_ns) {
  Publisher& publisher = publishers_[index];
  Connection& connection = senders_[index];
  std::uint32_t choice = 0;
  if (publisher.templates.size() > 1) {
    publisher.random = publisher.random * 1'664'525u + 1'013'904'223u;
    choice = static_cast<std::uint32_t>(static_cast<std::uint64_t>(publisher.random) * publisher.templates.size() >> 32);
  }
  const PublishTemplate& form = publisher.templates[choice];
  const std::size_t at = connection.out.size();
  connection.out.insert(connection.out.end(), form.frame.begin(), form.frame.end());
  std::uint8_t* const frame = connection.out.data() + at;
  if (plan_.qos > 0) {
    const std::uint16_t id = publisher.free_ids.back();
    publisher.free_ids.pop_back();
    frame[form.packet_id_at] = static_cast<std::uint8_t>(id >> 8);
    frame[form.packet_id_at + 1] = static_cast<std::uint8_t>(id);
  }
  const Stamp stamp{index, ledger_.publish(index, publisher.copies[choice]), time_ns};
  std::memcpy(frame + form.payload_at, &stamp, sizeof stamp);
  ++counts_.published;
}

void Flow::fill(std::uint32_t index, std::uint64_t now) {
  Publisher& publisher = publishers_[index];
  Connection& connection = senders_[index];
  const std::size_t before = connection.out.size();
  if (interval_ns_ == 0) {
    while (may_publish(index)) publish(index, now);
  } else {
    for (; publisher.due_ns <= now && may_publish(index); publisher.due_ns += interval_ns_) {
      publish(index, publisher.due_ns);
    }
  }
  if (connection.out.size() != before) loop_.flush_later(connection);
}

void Flow::fill_pooled(std::uint64_t now) {
  const auto count = static_cast<std::uint32_t>(publishers_.size());
  for (std::uint32_t passed = 0; ledger_.undelivered() < plan_.undelivered && passed < count;) {
    const std::uint32_t index = pool_turn_;
    pool_turn_ = index + 1 < count ? index + 1 : 0;
    if (!may_publish(index)) {
      ++passed;
      continue;
    }
    passed = 0;
    publish(index, now);
    loop_.flush_later(senders_[index]);
  }
}

void Flow::on_turn() {
  if (publishing_) {
    const std::uint64_t now = now_ns();
    if (interval_ns_ > 0) {
      for (std::uint32_t i = 0; i < publishers_.size(); ++i) fill(i, now);
    } else if (is_pooled()) {
      fill_pooled(now);
    } else {
      for (const std::uint32_t index : turn_list_) fill(index, now);
    }
  }
  for (const std::uint32_t index : turn_list_) publishers_[index].in_turn_list = false;
  turn_list_.clear();
}

std::uint64_t Flow::until_due(std::uint64_t now) const {
  std::uint64_t due = now + kLongestSleepNs;
  for (const Publisher& publisher : publishers_) due = std::min(due, publisher.due_ns);
  return due > now ? due - now : 0;
}

void Flow::run_for(double seconds) {
  const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(seconds * 1e9);
  std::uint64_t progress_ns = now_ns();
  std::uint64_t seen = counts_.delivered;
  for (std::uint64_t now = progress_ns; now < end && !interrupted(); now = now_ns()) {
    // An open loop spins: waking up late would be measured as the broker's latency.
    if (plan_.sleeps) loop_.wait(until_due(now));
    loop_.turn(interval_ns_ > 0 ? 0 : 100, *this);
    if (counts_.delivered != seen) {
      seen = counts_.delivered;
      progress_ns = now;
    }
    if (now - progress_ns > kStallNs) return;
  }
}

bool Flow::is_idle() const {
  return ledger_.undelivered() == 0 && std::all_of(publishers_.begin(), publishers_.end(), [](const Publisher& p) {
           return p.free_ids.size() == p.window;
         });
}

void Flow::drain() {
  publishing_ = false;
  std::uint64_t seen = counts_.delivered;
  for (std::uint64_t since = now_ns(); !is_idle() && now_ns() - since < kStallNs;) {
    loop_.turn(100, *this);
    if (counts_.delivered != seen) {
      seen = counts_.delivered;
      since = now_ns();
    }
  }
  // A duplicate would come right behind the last message.
  for (int turn = 0; turn < 5; ++turn) loop_.turn(20, *this);
}

void Flow::run(Report& report) {
  prepare();
  publishing_ = true;
  const std::uint64_t start = now_ns();
  for (std::uint32_t i = 0; i < publishers_.size(); ++i) {
    publishers_[i].due_ns = start + interval_ns_ * i / publishers_.size();
    want_turn(i);
  }
  // Without this turn nothing is readable yet and the first wait would last its whole timeout.
  loop_.turn(0, *this);
  run_for(plan_.warmup_s);

  latency_.clear();
  const Counts before = counts_;
  const std::uint64_t machine_before = machine_busy_ns();
  const std::uint64_t broker_before = broker_.cpu_ns();
  const std::uint64_t own_before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  const std::uint64_t begin = now_ns();
  run_for(plan_.seconds);
  const double elapsed_s = static_cast<double>(now_ns() - begin) / 1e9;
  const std::uint64_t broker_cpu = broker_.cpu_ns() - broker_before;
  const std::uint64_t own_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own_before;
  const std::uint64_t machine_cpu = machine_busy_ns() - machine_before;
  const Counts after = counts_;
  const Histogram latency = latency_;
  const std::uint64_t rss_kib = broker_.status_kib("VmRSS");
  drain();

  const auto delivered = static_cast<double>(after.delivered - before.delivered);
  report.count("delivered", after.delivered - before.delivered);
  report.number("seconds", elapsed_s);
  report.number("perSecond", delivered / elapsed_s);
  report.number("publishedPerSecond", static_cast<double>(after.published - before.published) / elapsed_s);
  report.number("mebibytesPerSecond", static_cast<double>(after.bytes - before.bytes) / elapsed_s / (1 << 20));
  report.number("p50us", latency.percentile_us(50));
  report.number("p99us", latency.percentile_us(99));
  report.number("p999us", latency.percentile_us(99.9));
  report.number("maxUs", latency.max_us());
  if (!broker_.empty()) {
    report.number("brokerCpuUs", static_cast<double>(broker_cpu) / 1e3 / delivered);
    report.number("brokerBusy", static_cast<double>(broker_cpu) / 1e9 / elapsed_s);
    report.count("brokerRssKib", rss_kib);
    const double foreign = static_cast<double>(machine_cpu) - static_cast<double>(broker_cpu + own_cpu);
    report.number("foreignBusy", std::max(0.0, foreign / 1e9 / elapsed_s));
  }
  report.number("generatorCpuUs", static_cast<double>(own_cpu) / 1e3 / delivered);
  report.number("generatorBusy", static_cast<double>(own_cpu) / 1e9 / elapsed_s);
  report.count("lost", ledger_.lost());
  report.count("doubled", ledger_.doubled());
  report.count("disordered", ledger_.disordered());
  report.count("refused", refused_);
  disconnect_all(loop_, senders_);
  disconnect_all(loop_, spares_);
  disconnect_all(loop_, receivers_);
}

}  // namespace

void run_flow(const Target& target, const FlowPlan& plan, const Processes& broker, Report& report) {
  // The window that is being measured ends; what was published is still waited for.
  std::signal(SIGINT, [](int) { was_interrupted = 1; });
  if (plan.payload_bytes < kStampBytes) fail("reading --size: at least 16 bytes");
  Flow(target, plan, broker).run(report);
}

}  // namespace stmqtt::bench

// QoS 0 messages for connections of another thread, done in two ways: handed over as (message,
// receiver) by the ring of each pair of threads, and encoded there; or encoded by the publisher's
// thread straight into the other connection's outbound bytes, under a short lock of its own. CPU time
// of both threads for each message. Two cores, no sockets. Built and run by run.mjs.
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/message.hpp"
#include "base/outbound_queue.hpp"
#include "base/spsc_queue.hpp"
#include "wire/encode.hpp"

namespace {

using namespace stmqtt;

constexpr std::uint32_t kMostUnread = 4096;  // what publishers are ahead of the readers, at most

double thread_cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

/// As the I/O thread's: costs a system call only if the other one sleeps.
class Sleeper {
 public:
  ~Sleeper() { close(fd_); }
  void wake() {
    if (!asleep_.exchange(false, std::memory_order_seq_cst)) return;
    const std::uint64_t one = 1;
    if (write(fd_, &one, sizeof one) < 0) std::abort();
  }
  template <class Ready>
  void sleep_unless(Ready ready) {
    asleep_.store(true, std::memory_order_seq_cst);
    if (ready()) return asleep_.store(false, std::memory_order_relaxed);
    pollfd entry{fd_, POLLIN, 0};
    if (poll(&entry, 1, 100) > 0) {
      std::uint64_t count = 0;
      if (read(fd_, &count, sizeof count) < 0) std::abort();
    }
    asleep_.store(false, std::memory_order_relaxed);
  }

 private:
  const int fd_ = eventfd(0, EFD_NONBLOCK);
  std::atomic<bool> asleep_{false};
};

struct Load {
  std::uint32_t receivers;
  std::uint32_t batch;        ///< messages that one loop turn reads
  std::uint32_t copies;       ///< receivers of each message
  std::size_t payload_bytes;
  std::uint32_t pause_us;     ///< between turns; 0 = as fast as the reader follows
  std::uint32_t messages;
};

wire::PublishOut frame_of(const Load& load, const std::string& payload) {
  static const std::string topic = "bench/crossing/topic";
  wire::PublishOut out;
  out.version = wire::Version::v311;
  out.topic = as_bytes(topic);
  out.payload = as_bytes(std::string_view(payload).substr(0, load.payload_bytes));
  return out;
}

/// What a thread does with bytes at its turn's end, but for the system call.
void send_all(OutboundQueue& queue) {
  Slice slices[16];
  while (!queue.empty()) {
    std::size_t bytes = 0;
    const std::size_t count = queue.gather(slices, 16);
    for (std::size_t at = 0; at < count; ++at) bytes += slices[at].bytes;
    queue.consume(bytes);
  }
}

class ByRing {
 public:
  explicit ByRing(const Load& load) : load_(load), queues_(load.receivers), ring_(16384) {}

  void publish(const wire::PublishOut& out, std::uint32_t number) {
    MessageParts parts;
    parts.topic = out.topic;
    parts.payload = out.payload;
    // One counted message for all receivers there, as one item: the match lists them.
    Item item{MessageRef::adopt(Message::make(parts)), number};
    while (!ring_.stage(std::move(item))) {
      ring_.publish();
      sleeper.wake();
    }
  }
  void end_turn() {
    ring_.publish();
    sleeper.wake();
  }
  [[nodiscard]] bool ready() { return !ring_.empty(); }
  std::uint32_t take() {
    const std::size_t items = ring_.consume([this](Item&& item) {
      wire::PublishOut out;
      out.version = wire::Version::v311;
      out.topic = item.message->topic();
      out.payload = item.message->payload();
      const std::size_t bytes = wire::size_publish(out);
      const std::uint8_t* first = nullptr;
      for (std::uint32_t copy = 0; copy < load_.copies; ++copy) {
        const std::uint32_t receiver = (item.number + copy) % load_.receivers;
        OutboundQueue& queue = queues_[receiver];
        if (queue.empty()) dirty_.push_back(receiver);
        std::uint8_t* const at = queue.reserve(bytes);
        if (first == nullptr) {
          wire::encode_publish(out, at);
          first = at;
        } else {
          std::memcpy(at, first, bytes);
        }
        queue.commit(bytes);
      }
    }, 4096);
    for (const std::uint32_t receiver : dirty_) send_all(queues_[receiver]);
    dirty_.clear();
    return static_cast<std::uint32_t>(items);
  }
  Sleeper sleeper;

 private:
  struct Item {
    MessageRef message;
    std::uint32_t number;
  };
  const Load load_;
  std::vector<OutboundQueue> queues_;
  std::vector<std::uint32_t> dirty_;
  SpscQueue<Item> ring_;
};

class ByLock {
 public:
  explicit ByLock(const Load& load) : load_(load), connections_(load.receivers), marked_(65536) {}

  void publish(const wire::PublishOut& out, std::uint32_t number) {
    const std::size_t bytes = wire::size_publish(out);
    frame_.resize(bytes);
    wire::encode_publish(out, frame_.data());
    for (std::uint32_t copy = 0; copy < load_.copies; ++copy) {
      const std::uint32_t receiver = (number + copy) % load_.receivers;
      Connection& connection = connections_[receiver];
      connection.lock();
      const bool first = connection.bytes.empty();
      connection.bytes.insert(connection.bytes.end(), frame_.begin(), frame_.end());
      connection.unlock();
      if (first) {
        std::uint32_t name = receiver;
        while (!marked_.try_push(std::move(name))) sleeper.wake();
      }
    }
    published_.store(number + 1, std::memory_order_relaxed);
  }
  void end_turn() { sleeper.wake(); }
  [[nodiscard]] bool ready() { return !marked_.empty(); }
  std::uint32_t take() {
    const std::uint32_t until = published_.load(std::memory_order_relaxed);
    marked_.consume([this](std::uint32_t&& receiver) {
      Connection& connection = connections_[receiver];
      connection.lock();
      sending_.swap(connection.bytes);
      connection.unlock();
      asm volatile("" : : "g"(sending_.data()) : "memory");
      sending_.clear();
    });
    const std::uint32_t taken = until - taken_;
    taken_ = until;
    return taken;
  }
  Sleeper sleeper;

 private:
  struct alignas(64) Connection {
    std::atomic<bool> locked{false};
    std::vector<std::uint8_t> bytes;
    void lock() {
      while (locked.exchange(true, std::memory_order_acquire)) {
        while (locked.load(std::memory_order_relaxed)) std::this_thread::yield();
      }
    }
    void unlock() { locked.store(false, std::memory_order_release); }
  };
  const Load load_;
  std::vector<Connection> connections_;
  std::vector<std::uint8_t> frame_;
  std::vector<std::uint8_t> sending_;
  SpscQueue<std::uint32_t> marked_;
  std::atomic<std::uint32_t> published_{0};
  std::uint32_t taken_ = 0;
};

/// CPU nanoseconds of both threads for each copy.
template <class Way>
double measure(const Load& load) {
  const auto way = std::make_unique<Way>(load);
  std::atomic<std::uint32_t> taken{0};
  double reader_ns = 0;
  std::thread reader([&] {
    const double start = thread_cpu_ns();
    while (taken.load(std::memory_order_relaxed) < load.messages) {
      taken.fetch_add(way->take(), std::memory_order_release);
      if (!way->ready() && taken.load(std::memory_order_relaxed) < load.messages) {
        way->sleeper.sleep_unless([&] { return way->ready(); });
      }
    }
    reader_ns = thread_cpu_ns() - start;
  });
  const std::string payload(load.payload_bytes, 'x');
  const wire::PublishOut out = frame_of(load, payload);
  const double start = thread_cpu_ns();
  for (std::uint32_t number = 0; number < load.messages;) {
    for (std::uint32_t at = 0; at < load.batch && number < load.messages; ++at) {
      way->publish(out, number++);
    }
    way->end_turn();
    if (load.pause_us > 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(load.pause_us));
    }
    while (number - taken.load(std::memory_order_acquire) > kMostUnread) {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }
  reader.join();
  const double all = thread_cpu_ns() - start + reader_ns;
  return all / load.messages / load.copies;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main() {
  const std::pair<const char*, Load> loads[] = {
      {"pairs, 10 receivers, 64 B, busy", {10, 64, 1, 64, 0, 1'000'000}},
      {"pairs, 1,000 receivers, 64 B, busy", {1000, 64, 1, 64, 0, 1'000'000}},
      {"fan-out to 100, 64 B, busy", {100, 16, 100, 64, 0, 20'000}},
      {"pairs, 10 receivers, 1 KiB, busy", {10, 64, 1, 1024, 0, 300'000}},
      {"pairs, 10 receivers, 64 B, 1 message a turn, calm", {10, 1, 1, 64, 50, 20'000}},
      {"fan-out to 100, 64 B, calm", {100, 1, 100, 64, 50, 10'000}},
  };
  std::printf("crossing to another thread: CPU ns of both threads for each copy\n");
  std::printf("  %-52s %8s %8s %8s\n", "load", "ring", "lock", "ratio");
  for (const auto& [name, load] : loads) {
    std::vector<double> ring;
    std::vector<double> lock;
    for (int round = 0; round < 7; ++round) {
      ring.push_back(measure<ByRing>(load));
      lock.push_back(measure<ByLock>(load));
    }
    const double by_ring = median(ring);
    const double by_lock = median(lock);
    std::printf("  %-52s %8.1f %8.1f %8.2f\n", name, by_ring, by_lock, by_ring / by_lock);
  }
  return 0;
}

// How long route/ takes to find a topic's receivers: from the cache, from the trie, while others
// subscribe; what a filter takes in memory; what the retained index costs. Filters are the mix that
// bench/native/topologies.cpp subscribes over the network: 6 of 10 without wildcards, 3 with "+", 1
// with "#". One core, no sockets. Built and run by run.mjs.
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.hpp"
#include "route/match_cache.hpp"
#include "route/retained_index.hpp"
#include "route/topic_trie.hpp"

namespace {

using namespace stmqtt;

/// CPU time of this thread: what others do on the machine does not count.
struct Clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Clock>;
  static constexpr bool is_steady = true;
  static time_point now() noexcept {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
  }
};

template <typename T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

double ns_since(Clock::time_point start, std::size_t count) {
  const std::chrono::duration<double, std::nano> took = Clock::now() - start;
  return took.count() / static_cast<double>(count);
}

/// Best of several rounds of `work`, which does `count` things, for each.
template <typename Work>
double best_ns(std::size_t count, Work work) {
  double best = 1e18;
  for (int round = 0; round < 7; ++round) {
    const auto start = Clock::now();
    work();
    best = std::min(best, ns_since(start, count));
  }
  return best;
}

std::size_t heap_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::string device_topic(std::uint32_t number, const char* site, bool plant, bool line) {
  return std::string(site) + "/" + (plant ? "plant" + std::to_string(number / 1000) : "+") + "/" +
         (line ? "line" + std::to_string(number / 100 % 10) : "+") + "/dev" +
         std::to_string(number);
}

std::string mixed_filter(std::uint32_t index, std::uint32_t count) {
  const std::uint32_t exact = count / 10 * 6;
  const std::uint32_t plus = count / 10 * 3;
  if (index < exact) return device_topic(index, "site", true, true) + "/temperature";
  if (index >= exact + plus) {
    return device_topic(index - exact - plus, "site", true, true) + "/#";
  }
  const std::uint32_t number = index - exact;
  switch (number % 4) {
    case 0: return device_topic(number, "+", true, true) + "/temperature";
    case 1: return device_topic(number, "site", false, true) + "/temperature";
    case 2: return device_topic(number, "site", true, false) + "/temperature";
    default: return device_topic(number, "site", true, true) + "/+";
  }
}

std::vector<std::string> topics_of(std::uint32_t filters, std::uint32_t count) {
  std::vector<std::string> topics;
  const std::uint32_t exact = filters / 10 * 6;
  for (std::uint32_t i = 0; i < count; ++i) {
    topics.push_back(device_topic(i * (exact / count), "site", true, true) + "/temperature");
  }
  // In no order, as publishes come.
  std::uint64_t state = 42;
  for (std::size_t i = topics.size(); i > 1; --i) {
    std::swap(topics[i - 1], topics[(state = mix64(state + i)) % i]);
  }
  return topics;
}

void fill(TopicTrie& trie, std::uint32_t count) {
  const std::size_t before = heap_bytes();
  constexpr std::uint32_t kBatch = 100;
  double total_ns = 0;
  double longest_us = 0;
  std::vector<std::string> filters(kBatch);
  for (std::uint32_t first = 0; first < count; first += kBatch) {
    for (std::uint32_t i = 0; i < kBatch; ++i) filters[i] = mixed_filter(first + i, count);
    const auto start = Clock::now();
    for (const std::string& filter : filters) {
      trie.subscribe({{}, as_bytes(filter)}, {{first / 1000, 1, 0}, 0, {}, false});
    }
    const double took_ns = ns_since(start, 1);
    total_ns += took_ns;
    longest_us = std::max(longest_us, took_ns / 1000);
  }
  const TrieCounts counts = trie.counts();
  std::printf("  heap %.1f B a filter (counted %.1f), %.2f nodes, %.2f level texts a filter\n",
              static_cast<double>(heap_bytes() - before) / count,
              static_cast<double>(counts.bytes) / count,
              static_cast<double>(counts.nodes) / count,
              static_cast<double>(counts.levels) / count);
  std::printf("  subscribe %.0f ns, the longest hundred %.0f us\n", total_ns / count, longest_us);
}

void measure_trie(std::uint32_t filters) {
  std::printf("%u mixed filters\n", filters);
  auto trie = std::make_unique<TopicTrie>();
  fill(*trie, filters);
  const std::vector<std::string> topics = topics_of(filters, 10'000);
  const double uncached = best_ns(topics.size(), [&] {
    for (const std::string& topic : topics) keep(trie->match(as_bytes(topic)));
  });
  const double unmatched = best_ns(topics.size(), [&] {
    for (const std::string& topic : topics) keep(trie->match(as_bytes(topic).subspan(1)));
  });
  for (const std::size_t in_use : {std::size_t{10}, std::size_t{1000}, topics.size()}) {
    MatchCache cache(64 << 20);
    std::vector<std::uint64_t> hashes;
    for (std::size_t i = 0; i < in_use; ++i) hashes.push_back(TopicTrie::hash(as_bytes(topics[i])));
    const double hit = best_ns(100'000 / in_use * in_use, [&] {
      for (std::size_t n = 0; n < 100'000 / in_use; ++n) {
        for (std::size_t i = 0; i < in_use; ++i) {
          keep(cache.find(*trie, as_bytes(topics[i]), hashes[i]));
        }
      }
    });
    const double hashing = best_ns(100'000 / in_use * in_use, [&] {
      for (std::size_t n = 0; n < 100'000 / in_use; ++n) {
        for (std::size_t i = 0; i < in_use; ++i) keep(TopicTrie::hash(as_bytes(topics[i])));
      }
    });
    std::printf("  find, %zu topics in use: %.1f ns, and %.1f ns to hash the topic\n", in_use, hit,
                hashing);
    if (in_use != 1000) continue;
    // Somebody else subscribes before every find: the stripes are compared each time.
    const std::uint64_t misses = cache.misses();
    std::uint32_t churn = 0;
    const double churned = best_ns(in_use, [&] {
      for (std::size_t i = 0; i < in_use; ++i) {
        const std::string filter = "v1/devices/" + std::to_string(churn++ % 500) + "/rpc/request/+";
        trie->subscribe({{}, as_bytes(filter)}, {{churn, 1, 0}, 0, {}, false});
        keep(cache.find(*trie, as_bytes(topics[i]), hashes[i]));
      }
    });
    std::printf("  subscribe elsewhere and find: %.0f ns, %.2f%% matched anew\n", churned,
                100.0 * static_cast<double>(cache.misses() - misses) / (7.0 * 1000));
  }
  std::printf("  match without a cache: %.0f ns; of a topic nobody wants: %.0f ns\n", uncached,
              unmatched);
}

void measure_fan_out(std::uint32_t subscribers) {
  TopicTrie trie;
  for (std::uint32_t i = 0; i < subscribers; ++i) {
    trie.subscribe({{}, as_bytes("all/of/you")}, {{i, 1, 0}, 0, {}, false});
  }
  const double ns = best_ns(10, [&] {
    for (int i = 0; i < 10; ++i) keep(trie.match(as_bytes("all/of/you")));
  });
  std::printf("one topic, %u subscribers: match without a cache %.0f us\n", subscribers, ns / 1000);
}

void measure_retained(std::uint32_t count) {
  std::printf("%u retained messages of 64 bytes\n", count);
  RetainedIndex index;
  std::vector<std::string> topics;
  for (std::uint32_t i = 0; i < count; ++i) {
    topics.push_back(device_topic(static_cast<std::uint32_t>(mix64(i) % count), "site", true, true) +
                     "/" + std::to_string(i % 7));
  }
  const std::string payload(64, 'x');
  std::vector<MessageRef> messages;
  const auto make = [&] {
    messages.clear();
    for (const std::string& topic : topics) {
      MessageParts parts;
      parts.topic = as_bytes(topic);
      parts.payload = as_bytes(payload);
      messages.push_back(MessageRef::adopt(Message::make(parts)));
    }
  };
  make();
  const std::size_t before = heap_bytes();
  auto start = Clock::now();
  for (const MessageRef& message : messages) index.set(message);
  const double fresh = ns_since(start, count);
  const double bytes = static_cast<double>(heap_bytes() - before) / count;
  make();
  start = Clock::now();
  for (const MessageRef& message : messages) index.set(message);
  const double again = ns_since(start, count);
  std::printf("  set %.0f ns when new, %.0f ns when replaced; index %.1f B a message\n", fresh, again,
              bytes);
  for (const char* filter : {"#", "site/+/line3/+/5", "site/plant7/line3/dev7301/5"}) {
    std::vector<MessageRef> out;
    RetainedCursor cursor;
    double longest_us = 0;
    std::size_t found = 0;
    start = Clock::now();
    while (!cursor.done) {
      const auto one = Clock::now();
      out.clear();
      index.scan(as_bytes(filter), index.sequence(), 0, 256, cursor, out);
      found += out.size();
      longest_us = std::max(longest_us, ns_since(one, 1000));
    }
    std::printf("  scan %-28s %7zu found, %9.0f us in all, %4.0f us the longest chunk\n", filter,
                found, ns_since(start, 1000), longest_us);
  }
}

}  // namespace

int main() {
  measure_trie(1'000);
  measure_trie(100'000);
  measure_trie(1'000'000);
  measure_fan_out(1'000);
  measure_fan_out(100'000);
  measure_retained(100'000);
  return 0;
}

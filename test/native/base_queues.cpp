// native/base: RingQueue, OutboundQueue, Outlet and FlushList, SpscQueue, against plain models.
#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/outbound_queue.hpp"
#include "base/outlet.hpp"
#include "base/pool.hpp"
#include "base/random.hpp"
#include "base/ring_queue.hpp"
#include "base/spsc_queue.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;

STMQTT_TEST("ring queue: behaves like a deque, and destroys what it held") {
  Xoshiro random(test::seed());
  auto alive = std::make_shared<int>(0);
  struct Element {
    std::uint32_t value;
    std::shared_ptr<int> token;
  };
  {
    RingQueue<Element> ours;
    std::deque<std::uint32_t> theirs;
    for (int i = 0; i < 30000; i++) {
      const auto value = static_cast<std::uint32_t>(random.next());
      const std::uint32_t choice = random.below(i % 4000 < 2000 ? 8 : 14);
      if (choice < 5) {
        ours.push_back({value, alive});
        theirs.push_back(value);
      } else if (choice == 5 && value % 50 == 0) {
        const auto gone = [&](const Element& e) { return e.value % 2 == 0; };
        const auto before = theirs.size();
        std::erase_if(theirs, [](std::uint32_t v) { return v % 2 == 0; });
        CHECK_EQ(ours.erase_if(gone), before - theirs.size());
      } else if (choice == 6 && value % 500 == 0) {
        ours.clear();
        theirs.clear();
      } else if (choice == 7 && !theirs.empty()) {
        ours.pop_back();
        theirs.pop_back();
      } else if (!theirs.empty()) {
        CHECK_EQ(ours.take_front().value, theirs.front());
        theirs.pop_front();
      }
      REQUIRE_EQ(ours.size(), theirs.size());
      if (!theirs.empty()) {
        CHECK_EQ(ours.front().value, theirs.front());
        CHECK_EQ(ours.back().value, theirs.back());
        const std::size_t at = value % theirs.size();
        CHECK_EQ(ours[at].value, theirs[at]);
      }
      CHECK_EQ(alive.use_count(), static_cast<long>(theirs.size()) + 1);
    }
    RingQueue<Element> other;
    other.push_back({7, alive});
    other.swap(ours);
    CHECK_EQ(other.size(), theirs.size());
    REQUIRE_EQ(ours.size(), 1);
    CHECK_EQ(ours.front().value, 7U);
    ours = std::move(other);
    CHECK_EQ(ours.size(), theirs.size());
    CHECK(other.empty());
  }
  CHECK_EQ(alive.use_count(), 1);
  static_assert(sizeof(RingQueue<Element>) == 16);
}

STMQTT_TEST("ring queue: holds no memory once it is empty") {
  pool_trim();
  RingQueue<std::uint64_t> queue;
  for (int i = 0; i < 1000; i++) queue.push_back(1);
  for (int i = 0; i < 1000; i++) queue.pop_front();
  // Whatever it had is back in the pool: nothing is allocated that this thread does not keep.
  void* block = pool_allocate(sizeof(std::uint64_t) * 1024);
  pool_free(block, sizeof(std::uint64_t) * 1024);
  CHECK(queue.empty());
  queue.push_back(2);
  CHECK_EQ(queue.take_front(), 2U);
  pool_trim();
}

std::string sent(const OutboundQueue& queue, std::size_t max_slices) {
  std::vector<Slice> slices(max_slices);
  const std::size_t count = queue.gather(slices.data(), max_slices);
  std::string text;
  for (std::size_t i = 0; i < count; i++) {
    text.append(reinterpret_cast<const char*>(slices[i].data), slices[i].bytes);
  }
  return text;
}

STMQTT_TEST("outbound queue: sends what was written, in order, whatever the pieces") {
  Xoshiro random(test::seed());
  const std::int64_t message_bytes = Message::thread_bytes();
  const std::string topic = "a/b";
  const std::string payload(5000, 'p');
  {
    OutboundQueue queue;
    std::string model;
    for (int i = 0; i < 5000; i++) {
      const auto value = static_cast<std::uint32_t>(random.next());
      switch (random.below(7)) {
        case 0: {
          const std::size_t room = 1 + value % 300;
          const std::size_t used = value % 3 == 0 ? room / 2 : room;
          std::uint8_t* at = queue.reserve(room);
          for (std::size_t b = 0; b < room; b++) at[b] = static_cast<std::uint8_t>('a' + b % 26);
          model.append(reinterpret_cast<const char*>(at), used);
          queue.commit(used);
          break;
        }
        case 1: {
          const std::size_t room = 1 + value % OutboundQueue::kMaxReserveBytes;
          std::uint8_t* at = queue.reserve(room);
          at[0] = 'R';
          at[room - 1] = 'r';
          queue.commit(1);
          model += 'R';
          break;
        }
        case 2: {
          const std::string text(value % 3000, static_cast<char>('A' + value % 26));
          queue.append(as_bytes(text));
          model += text;
          break;
        }
        case 3: {
          MessageRef message = MessageRef::adopt(
              Message::make({as_bytes(topic), {}, as_bytes(payload), {}, 0, {}, 0, 0, false}));
          const Bytes view = message->payload().subspan(value % 5000);
          model.append(as_text(view));
          queue.append_shared(std::move(message), view);
          break;
        }
        default: {
          const std::size_t n = value % 3 == 0 ? model.size() : value % (model.size() + 1);
          queue.consume(n);
          model.erase(0, n);
        }
      }
      REQUIRE_EQ(queue.bytes(), model.size());
      CHECK_EQ(queue.empty(), model.empty());
      const std::string all = sent(queue, 64);
      REQUIRE(all == model.substr(0, all.size()));
      REQUIRE(all.empty() == model.empty());
      if (model.size() > 400000) {
        CHECK(sent(queue, 100000) == model);
        OutboundQueue other;
        other.append(as_bytes("first"));
        other.append_queue(std::move(queue));
        CHECK(queue.empty());
        queue = std::move(other);
        model.insert(0, "first");
      }
    }
  }
  CHECK_EQ(Message::thread_bytes(), message_bytes);
  static_assert(sizeof(OutboundQueue) == 24);
}

STMQTT_TEST("outbound queue: a small turn takes one block, and nothing stays behind") {
  pool_trim();
  OutboundQueue queue;
  for (int i = 0; i < 10; i++) {
    std::uint8_t* at = queue.reserve(4);
    store_u32(at, 1);
    queue.commit(4);
  }
  Slice slices[4];
  CHECK_EQ(queue.gather(slices, 4), 1);
  CHECK_EQ(slices[0].bytes, 40);
  const std::size_t kept = pool_kept_bytes();
  queue.consume(40);
  CHECK(queue.empty());
  CHECK_EQ(queue.gather(slices, 4), 0);
  CHECK_LE(kept, pool_kept_bytes());
  // Reserved and never committed: nothing to send, and the next bytes come alone.
  static_cast<void>(queue.reserve(100));
  CHECK_EQ(queue.gather(slices, 4), 0);
  static_cast<void>(queue.reserve(60000));
  queue.append(as_bytes("x"));
  CHECK_EQ(sent(queue, 4), "x");
  queue.consume(1);
  CHECK(queue.empty());
}

STMQTT_TEST("outlet: marked once, flushed in order, gone from the list when it dies") {
  FlushList list(100, 40);
  FlushList batch(100, 40);
  Outlet first(list, Outlet::Kind::socket);
  Outlet second(list, Outlet::Kind::link);
  first.mark();
  first.mark();
  second.mark();
  {
    Outlet third(list, Outlet::Kind::socket);
    third.mark();
  }
  list.move_to(batch);
  CHECK(list.empty());
  CHECK(batch.take() == &first);
  CHECK(!first.marked());
  first.mark();  // while the batch is at hand: on the next one
  CHECK(batch.take() == &second);
  CHECK(batch.take() == nullptr);
  CHECK(list.take() == &first);
  CHECK(list.take() == nullptr);
  CHECK(!first.above_high());
  first.queue.append(as_bytes(std::string(101, 'x')));
  CHECK(first.above_high());
  CHECK(!first.below_low());
  first.queue.consume(61);
  CHECK(first.below_low());
  CHECK(second.kind() == Outlet::Kind::link);
}

STMQTT_TEST("outlet: a batch that is moved keeps what was there") {
  FlushList list(1, 1);
  FlushList batch(1, 1);
  Outlet first(list, Outlet::Kind::socket);
  Outlet second(list, Outlet::Kind::socket);
  first.mark();
  list.move_to(batch);
  second.mark();
  list.move_to(batch);
  list.move_to(batch);
  CHECK(batch.take() == &first);
  second.unmark();
  CHECK(batch.empty());
}

STMQTT_TEST("outbound queue: blocks at the front are handed on whole, and nothing is copied") {
  OutboundQueue from;
  std::string all;
  for (int i = 0; i < 200; i++) {
    const std::string piece(static_cast<std::size_t>(i) * 7 % 300 + 1, static_cast<char>('a' + i % 26));
    from.append(as_bytes(piece));
    all += piece;
  }
  OutboundQueue to;
  std::string got;
  for (std::size_t n : {std::size_t{1}, std::size_t{1000}, std::size_t{4096}, all.size()}) {
    const std::size_t expected = from.front_bytes(n);
    CHECK(expected >= std::min(n, from.bytes()));
    const std::size_t before = from.bytes();
    if (before > 0) to.append_front(from, n);
    CHECK_EQ(before - from.bytes(), expected);
    CHECK_EQ(to.bytes() + from.bytes(), all.size());
    from.append(as_bytes("+"));  // it goes on where it was
    all += "+";
  }
  to.append_queue(std::move(from));
  to.for_each_slice([&](const Slice& slice) { got += as_text({slice.data, slice.bytes}); });
  CHECK_EQ(got.size(), all.size());
  CHECK(std::count(got.begin(), got.end(), '+') == 4);
  std::erase(got, '+');
  std::erase(all, '+');
  CHECK(got == all);
}

STMQTT_TEST("spsc queue: bounded, first in first out, batches appear when published") {
  SpscQueue<std::unique_ptr<int>> queue(4);
  for (int i = 0; i < 4; i++) CHECK(queue.try_push(std::make_unique<int>(i)));
  auto refused = std::make_unique<int>(9);
  CHECK(!queue.try_push(std::move(refused)));
  CHECK(refused != nullptr);
  std::unique_ptr<int> out[8];
  REQUIRE_EQ(queue.try_pop_batch(out, 3), 3);
  CHECK_EQ(*out[2], 2);
  CHECK(queue.stage(std::make_unique<int>(4)));
  CHECK(queue.stage(std::make_unique<int>(5)));
  REQUIRE_EQ(queue.try_pop_batch(out, 8), 1);
  CHECK_EQ(*out[0], 3);
  REQUIRE_EQ(queue.try_pop_batch(out, 8), 0);
  queue.publish();
  REQUIRE_EQ(queue.try_pop_batch(out, 8), 2);
  CHECK_EQ(*out[1], 5);
  CHECK(queue.stage(std::make_unique<int>(6)));  // freed with the queue
}

STMQTT_TEST("spsc queue: two threads, nothing lost, doubled or out of order") {
  constexpr std::uint64_t kCount = 300000;
  SpscQueue<std::uint64_t> queue(256);
  std::thread producer([&] {
    for (std::uint64_t next = 0; next < kCount;) {
      const std::uint64_t batch = 1 + next % 37;
      std::uint64_t staged = 0;
      while (staged < batch && next < kCount && queue.stage(std::uint64_t{next})) {
        staged++;
        next++;
      }
      queue.publish();
      if (staged == 0) std::this_thread::yield();
    }
  });
  std::uint64_t expected = 0;
  bool in_order = true;
  while (expected < kCount) {
    const std::size_t got = queue.consume([&](std::uint64_t&& value) {
      in_order = in_order && value == expected;
      expected++;
    });
    if (got == 0) std::this_thread::yield();
  }
  producer.join();
  CHECK(in_order);
  CHECK_EQ(queue.consume([](std::uint64_t&&) {}), 0);
}

STMQTT_TEST("message: one block, shared by count, freed by whoever is last") {
  const std::int64_t before = Message::thread_bytes();
  Message* message = Message::make({as_bytes("t/1"), as_bytes("props"), as_bytes("payload"), {}, 77,
                                    {3, 4, 5}, 0, 2, true});
  CHECK_EQ(as_text(message->topic()), "t/1");
  CHECK_EQ(as_text(message->properties()), "props");
  CHECK_EQ(as_text(message->payload()), "payload");
  CHECK_EQ(message->logical_bytes(), 15);
  CHECK_EQ(message->expires_at_ms(), 77);
  CHECK_EQ(message->qos(), 2);
  CHECK(message->retain());
  CHECK_EQ(message->publisher().thread, 5);
  CHECK_GT(Message::thread_bytes(), before);
  std::int64_t other_thread = 0;
  {
    MessageRef first = MessageRef::adopt(message);
    MessageRef second = first;
    std::thread other([&other_thread, held = std::move(second)]() mutable {
      held = MessageRef();
      other_thread = Message::thread_bytes();
    });
    other.join();
  }
  CHECK_EQ(Message::thread_bytes() + other_thread, before);
  MessageRef empty = MessageRef::adopt(Message::make({as_bytes("t"), {}, {}, {}, 0, {}, 0, 0, false}));
  CHECK(empty->payload().empty());
}

}  // namespace

// native/base/pool.hpp and vec.hpp: sizes, bounds, use from several threads.
#include "base/pool.hpp"

#include <cstring>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "base/vec.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;

// Under AddressSanitizer the pool passes through, and nothing is kept.
bool pool_keeps() {
  pool_free(pool_allocate(64), 64);
  return pool_kept_bytes() > 0;
}

STMQTT_TEST("pool: a block of every size is writable to its end and aligned") {
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  for (std::size_t bytes = 1; bytes < 70000; bytes += bytes < 600 ? 1 : bytes / 7) {
    auto* block = static_cast<unsigned char*>(pool_allocate(bytes));
    CHECK_EQ(reinterpret_cast<std::uintptr_t>(block) % alignof(std::max_align_t), 0);
    std::memset(block, static_cast<int>(bytes & 0xFF), bytes);
    blocks.emplace_back(block, bytes);
  }
  for (auto [block, bytes] : blocks) {
    CHECK_EQ(block[0], bytes & 0xFF);
    CHECK_EQ(block[bytes - 1], bytes & 0xFF);
    pool_free(block, bytes);
  }
  pool_trim();
}

STMQTT_TEST("pool: round_up is monotonic, never smaller, and wastes at most half") {
  std::size_t last = 0;
  for (std::size_t bytes = 1; bytes <= kPoolMaxBytes; bytes++) {
    const std::size_t up = pool_round_up(bytes);
    if (up < bytes || up < last || (bytes > 16 && up > bytes * 3 / 2 + 15)) {
      CHECK_EQ(bytes, up);
      return;
    }
    last = up;
  }
  CHECK_EQ(pool_round_up(kPoolMaxBytes), kPoolMaxBytes);
  CHECK_EQ(pool_round_up(kPoolMaxBytes + 1), kPoolMaxBytes + 1);
}

STMQTT_TEST("pool: a freed block is handed out again, last freed first") {
  if (!pool_keeps()) return test::skip("the pool passes through under AddressSanitizer");
  pool_trim();
  void* first = pool_allocate(100);
  void* second = pool_allocate(100);
  pool_free(first, 100);
  pool_free(second, 112);  // the same class
  CHECK_EQ(pool_kept_bytes(), 224);
  CHECK(pool_allocate(97) == second);
  CHECK(pool_allocate(112) == first);
  CHECK_EQ(pool_kept_bytes(), 0);
  pool_free(first, 100);
  pool_free(second, 100);
  pool_trim();
  CHECK_EQ(pool_kept_bytes(), 0);
}

STMQTT_TEST("pool: what a thread keeps is bounded by class and in all") {
  if (!pool_keeps()) return test::skip("the pool passes through under AddressSanitizer");
  pool_trim();
  for (const std::size_t bytes : {64UL, 512UL, 4096UL, 16384UL, 32768UL, 65536UL}) {
    std::vector<void*> blocks;
    for (std::size_t i = 0; i * bytes < kPoolClassKeepBytes * 2; i++) {
      blocks.push_back(pool_allocate(bytes));
    }
    const std::size_t before = pool_kept_bytes();
    for (void* block : blocks) pool_free(block, bytes);
    CHECK_LE(pool_kept_bytes() - before, kPoolClassKeepBytes);
    CHECK_LE(pool_kept_bytes(), kPoolThreadKeepBytes);
  }
  CHECK_EQ(pool_kept_bytes(), kPoolThreadKeepBytes);
  pool_trim();
  CHECK_EQ(pool_kept_bytes(), 0);
}

STMQTT_TEST("pool: blocks may be freed by another thread and after a thread ended") {
  std::vector<void*> blocks;
  std::thread maker([&] {
    for (int i = 0; i < 1000; i++) {
      blocks.push_back(pool_allocate(48));
      std::memset(blocks.back(), i, 48);
      pool_free(pool_allocate(300), 300);
    }
  });
  maker.join();
  for (void* block : blocks) pool_free(block, 48);
  std::thread reuser([] {
    CHECK_EQ(pool_kept_bytes(), 0);
    pool_free(pool_allocate(48), 48);
  });
  reuser.join();
  pool_trim();
}

STMQTT_TEST("pool: what another thread returns is used again by its owner, and by nobody else") {
  if (!pool_keeps()) return;
  pool_trim();
  const PoolOwner owner = pool_owner();
  CHECK(owner != kNoPoolOwner);
  std::set<void*> blocks;
  for (int n = 0; n < 100; n++) blocks.insert(pool_allocate(700));
  std::thread([&] {
    CHECK(pool_owner() != owner);
    for (void* block : blocks) pool_return(block, 700, owner);
    void* own = pool_allocate(700);
    CHECK(!blocks.contains(own));
    pool_free(own, 700);
  }).join();
  for (int n = 0; n < 100; n++) {
    void* block = pool_allocate(700);
    CHECK_EQ(blocks.erase(block), 1U);
    pool_return(block, 700, owner);  // to itself: at once
    CHECK_EQ(pool_allocate(700), block);
  }
  CHECK(blocks.empty());
}

STMQTT_TEST("pool: what is returned is bounded, and outlives the threads") {
  if (!pool_keeps()) return;
  const PoolOwner owner = pool_owner();
  std::vector<void*> blocks;
  for (int n = 0; n < 3000; n++) blocks.push_back(pool_allocate(4000));  // 12 MB
  std::thread([&] {
    for (void* block : blocks) pool_return(block, 4000, owner);
  }).join();
  void* one = pool_allocate(4000);
  CHECK_LE(pool_kept_bytes(), kPoolClassKeepBytes);
  pool_free(one, 4000);
  pool_trim();
  CHECK_EQ(pool_kept_bytes(), 0U);
  PoolOwner gone = kNoPoolOwner;
  std::thread([&] { gone = pool_owner(); }).join();
  pool_return(pool_allocate(64), 64, gone);  // nobody's: freed here
  std::vector<std::thread> threads;
  for (int n = 0; n < 100; n++) {  // more than there are owners
    threads.emplace_back([] {
      const PoolOwner mine = pool_owner();
      std::thread([&] {
        for (int m = 0; m < 50; m++) pool_return(pool_allocate(100), 100, mine);
      }).join();
      pool_free(pool_allocate(100), 100);
    });
  }
  for (auto& thread : threads) thread.join();
}

STMQTT_TEST("pool: reallocate keeps the used bytes across classes and beyond the largest") {
  std::size_t bytes = 10;
  auto* block = static_cast<unsigned char*>(pool_allocate(bytes));
  for (std::size_t i = 0; i < bytes; i++) block[i] = static_cast<unsigned char>(i * 7);
  for (const std::size_t next : {12UL, 100UL, 5000UL, 65536UL, 65537UL, 900000UL, 70000UL, 64UL}) {
    const std::size_t used = bytes < next ? bytes : next;
    block = static_cast<unsigned char*>(pool_reallocate(block, bytes, next, used));
    for (std::size_t i = 0; i < used; i++) {
      if (block[i] != static_cast<unsigned char>(i * 7)) {
        CHECK_EQ(i, next);
        break;
      }
    }
    for (std::size_t i = used; i < next; i++) block[i] = static_cast<unsigned char>(i * 7);
    bytes = next;
  }
  pool_free(block, bytes);
  pool_free(nullptr, 8);
}

STMQTT_TEST("vec: behaves like a vector under random operations") {
  Xoshiro random(test::seed());
  PoolVector<std::uint32_t> ours;
  std::vector<std::uint32_t> theirs;
  for (int i = 0; i < 20000; i++) {
    const auto value = static_cast<std::uint32_t>(random.next());
    switch (random.below(9)) {
      case 0: case 1: case 2: case 3:
        ours.push_back(value);
        theirs.push_back(value);
        break;
      case 4:
        if (!theirs.empty()) {
          const std::size_t at = value % theirs.size();
          ours.erase_at(at);
          theirs.erase(theirs.begin() + static_cast<std::ptrdiff_t>(at));
        }
        break;
      case 5:
        if (!theirs.empty()) {
          const std::size_t at = value % theirs.size();
          ours.erase_unordered(at);
          theirs[at] = theirs.back();
          theirs.pop_back();
        }
        break;
      case 6: {
        const std::size_t at = value % (theirs.size() + 1);
        ours.insert_at(at, value);
        theirs.insert(theirs.begin() + static_cast<std::ptrdiff_t>(at), value);
        break;
      }
      case 7:
        if (value % 64 == 0) {
          const auto gone = [](std::uint32_t v) { return v % 3 == 0; };
          CHECK_EQ(ours.erase_if(gone), std::erase_if(theirs, gone));
          ours.shrink();
        }
        break;
      default:
        if (value % 256 == 0) {
          ours.clear();
          theirs.clear();
          CHECK_EQ(ours.capacity(), 0);
        }
    }
    REQUIRE_EQ(ours.size(), theirs.size());
  }
  CHECK(std::equal(ours.begin(), ours.end(), theirs.begin()));
  PoolVector<std::uint32_t> moved(std::move(ours));
  CHECK_EQ(moved.size(), theirs.size());
  moved.resize(theirs.size() + 3);
  CHECK_EQ(moved.back(), 0U);
  static_assert(sizeof(moved) == 16);
}

STMQTT_TEST("vec: an element may be pushed into its own vector while it grows") {
  PoolVector<std::uint64_t> vector;
  vector.push_back(42);
  for (int i = 0; i < 1000; i++) vector.push_back(vector[0]);
  CHECK_EQ(vector.size(), 1001);
  CHECK_EQ(vector.back(), 42);
}

}  // namespace

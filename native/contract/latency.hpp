// The publish-to-delivery latency histogram: its buckets, and the order of the numbers that the
// addon hands to TypeScript. src/native/contract.ts mirrors it; a test holds them together.
// Thread: any (plain data).
#pragma once

#include <cstddef>
#include <cstdint>

namespace stmqtt::contract {

/// Upper bounds in microseconds, each included; one more bucket is above the last.
inline constexpr std::uint32_t kLatencyBoundsUs[] = {
    50,     100,    200,    500,     1'000,   2'000,     5'000,     10'000,
    20'000, 50'000, 100'000, 200'000, 500'000, 1'000'000, 2'000'000, 5'000'000, 10'000'000};
inline constexpr std::size_t kLatencyBuckets =
    sizeof kLatencyBoundsUs / sizeof kLatencyBoundsUs[0] + 1;
/// Deliveries by bucket (not added up), then all of them, then the sum of their microseconds.
inline constexpr std::size_t kLatencyNumbers = kLatencyBuckets + 2;

}  // namespace stmqtt::contract

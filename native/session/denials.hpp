// Who was denied what lately, and which rule said so: the last ones of a thread, for operators who
// ask by the query `denials`. To say which rule it was costs a look at all of them, so a second has
// room for a few only; the counters count every one.
// Thread: the shard's.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.hpp"
#include "base/json_writer.hpp"
#include "session/listing.hpp"

namespace stmqtt {

struct Denial {
  std::uint64_t at_ms = 0;  ///< of the monotonic clock
  std::string client_id;    ///< behind its tenant
  std::string username;
  std::string action;       ///< "PUBLISH", "SUBSCRIBE", "Will"
  std::string topic;        ///< inside; or a filter
  std::string rule;         ///< which rule, or what else, in words
};

class Denials {
 public:
  static constexpr std::uint32_t kKept = 64;
  static constexpr std::uint32_t kPerSecond = 20;
  static constexpr std::size_t kTextBytes = 256;  ///< of each text; longer ones are cut

  /// There is room in this second.
  [[nodiscard]] bool wants(std::uint64_t now_ms) const noexcept {
    return now_ms - second_ms_ >= 1000 || in_second_ < kPerSecond;
  }
  /// The oldest makes room.
  void add(Denial&& denial) noexcept;
  /// As rows, newest first, from the `from`th on; returns where the next page begins, or kListed.
  [[nodiscard]] std::uint32_t list(std::uint32_t from, const PageBounds& bounds,
                                   JsonWriter& rows) const noexcept;

 private:
  std::array<Denial, kKept> kept_;
  std::uint64_t count_ = 0;  ///< of all that were added
  std::uint64_t second_ms_ = 0;
  std::uint32_t in_second_ = 0;
};

}  // namespace stmqtt

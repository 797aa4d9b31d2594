// Which topics hooks asked for, and what each kind of hook needs there: compiled from what TypeScript
// has registered. Immutable and counted, shared by all threads; a thread without one pays nothing.
// In the path: HookDesk asks it once per Topic Name and keeps the answer.
// Thread: any may read; made by whoever has the registrations.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.hpp"

namespace stmqtt {

/// Bits of a set: src/native/hooks.ts has the same.
enum HookKind : std::uint8_t {
  kHookPublish = 1,
  kHookSubscribe = 2,
  kHookDeliver = 4,
  kHookAck = 8,
  kHookDrop = 16,
  kHookUnsubscribe = 32,
  kHookConnect = 64,  ///< of every client: its filter is '#'
  kHookSubscribed = 128,
};
inline constexpr std::uint8_t kAllHookKinds = 255;

/// What becomes of what a hook has not answered about in time.
struct HookWait {
  std::uint32_t timeout_ms = 0;  ///< of all hooks of the kind that fit, one after the other
  bool drops = false;            ///< one of them says so; else it passes
  bool operator==(const HookWait&) const noexcept = default;
};

/// What one topic, or one filter, needs.
struct HookNeeds {
  std::uint8_t kinds = 0;  ///< HookKind
  HookWait publish;
  HookWait subscribe;
  HookWait deliver;
  bool operator==(const HookNeeds&) const noexcept = default;
};

class HookSet {
 public:
  /// Longest time that hooks may be waited for, all together.
  static constexpr std::uint32_t kMaxWaitMs = 600'000;

  /// From the form that src/native/hooks.ts writes: u32 number of hooks; each is u8 HookKind,
  /// u8 1 = drops where the time is over, u16 bytes of the filter, u32 timeout in ms, the filter.
  /// Null: it is none. A set without hooks is not null, but has no kinds.
  [[nodiscard]] static std::shared_ptr<const HookSet> read(Bytes form);

  /// HookKind bits of all hooks.
  [[nodiscard]] std::uint8_t kinds() const noexcept { return kinds_; }
  [[nodiscard]] std::size_t size() const noexcept { return hooks_.size(); }
  [[nodiscard]] HookNeeds needs(Bytes topic) const noexcept;
  /// Of hooks whose filter and this one can match the same Topic Name.
  [[nodiscard]] HookNeeds needs_of_filter(Bytes filter) const noexcept;

 private:
  struct Hook {
    std::string filter;
    std::uint32_t timeout_ms;
    std::uint8_t kind;
    bool drops;
  };
  HookSet() = default;
  static void add(HookNeeds& needs, const Hook& hook) noexcept;

  std::vector<Hook> hooks_;
  std::unordered_map<std::string, std::vector<std::uint32_t>> exact_;  ///< filters without wildcards
  std::vector<std::uint32_t> wild_;
  std::uint8_t kinds_ = 0;
};

/// Whether there is a Topic Name that both match [MQTT-4.7.2-1]. Both are valid, without $share.
[[nodiscard]] bool filters_overlap(Bytes a, Bytes b) noexcept;

}  // namespace stmqtt

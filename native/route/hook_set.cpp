#include "route/hook_set.hpp"

#include <algorithm>

#include "wire/topic.hpp"

namespace stmqtt {
namespace {

constexpr std::size_t kHeadBytes = 8;

std::uint32_t number(const std::uint8_t* at, std::size_t bytes) noexcept {
  std::uint32_t value = 0;
  for (std::size_t n = bytes; n > 0; --n) value = value << 8 | at[n - 1];
  return value;
}

void wait_longer(HookWait& wait, std::uint32_t timeout_ms, bool drops) noexcept {
  wait.timeout_ms = std::min(HookSet::kMaxWaitMs, wait.timeout_ms + timeout_ms);
  wait.drops = wait.drops || drops;
}

/// The level at `at`, and where the next one begins; npos = that was the last.
Bytes level(Bytes topic, std::size_t at, std::size_t& next) noexcept {
  std::size_t end = at;
  while (end < topic.size() && topic[end] != '/') ++end;
  next = end < topic.size() ? end + 1 : std::string::npos;
  return topic.subspan(at, end - at);
}

bool is(Bytes text, char c) noexcept {
  return text.size() == 1 && text[0] == static_cast<std::uint8_t>(c);
}

}  // namespace

std::shared_ptr<const HookSet> HookSet::read(Bytes form) {
  if (form.size() < 4) return nullptr;
  const std::uint32_t count = number(form.data(), 4);
  std::shared_ptr<HookSet> set(new HookSet);
  Bytes rest = form.subspan(4);
  for (std::uint32_t at = 0; at < count; ++at) {
    if (rest.size() < kHeadBytes) return nullptr;
    Hook hook;
    hook.kind = rest[0];
    hook.drops = rest[1] != 0;
    const std::uint32_t filter_bytes = number(rest.data() + 2, 2);
    hook.timeout_ms = std::min(kMaxWaitMs, number(rest.data() + 4, 4));
    rest = rest.subspan(kHeadBytes);
    const bool one_kind = hook.kind != 0 && (hook.kind & (hook.kind - 1)) == 0;
    if (!one_kind || hook.kind > kAllHookKinds || filter_bytes > rest.size()) return nullptr;
    const Bytes filter = rest.first(filter_bytes);
    if (!wire::valid_topic_filter(filter)) return nullptr;
    rest = rest.subspan(filter_bytes);
    hook.filter = as_text(filter);
    set->kinds_ |= hook.kind;
    const bool wild = hook.filter.find_first_of("+#") != std::string::npos;
    if (wild) {
      set->wild_.push_back(at);
    } else {
      set->exact_[hook.filter].push_back(at);
    }
    set->hooks_.push_back(std::move(hook));
  }
  return rest.empty() ? set : nullptr;
}

void HookSet::add(HookNeeds& needs, const Hook& hook) noexcept {
  needs.kinds |= hook.kind;
  if (hook.kind == kHookPublish) wait_longer(needs.publish, hook.timeout_ms, hook.drops);
  if (hook.kind == kHookSubscribe) wait_longer(needs.subscribe, hook.timeout_ms, hook.drops);
  if (hook.kind == kHookDeliver) wait_longer(needs.deliver, hook.timeout_ms, hook.drops);
}

HookNeeds HookSet::needs(Bytes topic) const noexcept {
  HookNeeds needs;
  if (!exact_.empty()) {
    const auto found = exact_.find(std::string(as_text(topic)));
    if (found != exact_.end()) {
      for (const std::uint32_t at : found->second) add(needs, hooks_[at]);
    }
  }
  for (const std::uint32_t at : wild_) {
    if (wire::topic_matches(as_bytes(hooks_[at].filter), topic)) add(needs, hooks_[at]);
  }
  return needs;
}

HookNeeds HookSet::needs_of_filter(Bytes filter) const noexcept {
  HookNeeds needs;
  for (const Hook& hook : hooks_) {
    if (filters_overlap(as_bytes(hook.filter), filter)) add(needs, hook);
  }
  return needs;
}

bool filters_overlap(Bytes a, Bytes b) noexcept {
  std::size_t at_a = 0;
  std::size_t at_b = 0;
  for (bool first = true;; first = false) {
    std::size_t next_a = 0;
    std::size_t next_b = 0;
    const Bytes level_a = level(a, at_a, next_a);
    const Bytes level_b = level(b, at_b, next_b);
    if (first) {
      // A wildcard there matches nothing that begins with '$'.
      const bool system_a = !level_a.empty() && level_a[0] == '$';
      const bool system_b = !level_b.empty() && level_b[0] == '$';
      const auto wild = [](Bytes text) { return is(text, '#') || is(text, '+'); };
      if ((system_a && wild(level_b)) || (system_b && wild(level_a))) return false;
    }
    if (is(level_a, '#') || is(level_b, '#')) return true;
    if (!is(level_a, '+') && !is(level_b, '+') && as_text(level_a) != as_text(level_b)) return false;
    const bool end_a = next_a == std::string::npos;
    const bool end_b = next_b == std::string::npos;
    if (end_a && end_b) return true;
    // "a/#" matches "a" too.
    if (end_a) return b.size() - next_b == 1 && b[next_b] == '#';
    if (end_b) return a.size() - next_a == 1 && a[next_a] == '#';
    at_a = next_a;
    at_b = next_b;
  }
}

}  // namespace stmqtt

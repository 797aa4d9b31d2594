// Fuzz target: what TypeScript registers for hooks, as bytes. Any bytes are read or refused; what is
// read says the same of each topic as looking at one hook after the other. First byte of the input:
// bit 0: the form is made of levels that the input names, else it is the bytes themselves.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "route/hook_set.hpp"
#include "tokens.hpp"
#include "wire/topic.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::fuzz;

constexpr std::string_view kLevels[] = {"a", "b", "", "$SYS", "$", "é"};

struct Hook {
  std::string filter;
  std::uint8_t kind = 0;
  bool drops = false;
  std::uint32_t timeout_ms = 0;
};

/// The form, as far as it can be read.
std::vector<Hook> read_plainly(const std::string& form) {
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::uint32_t value = 0;
    for (std::size_t n = 0; n < bytes; ++n) {
      value |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(form[at + n])) << (8 * n);
    }
    return value;
  };
  std::vector<Hook> hooks;
  for (std::size_t at = 4; at < form.size();) {
    const std::uint32_t bytes = number(at + 2, 2);
    hooks.push_back({form.substr(at + 8, bytes), static_cast<std::uint8_t>(form[at]),
                     form[at + 1] != 0, number(at + 4, 4)});
    at += 8 + bytes;
  }
  require(hooks.size() == number(0, 4), "number of hooks");
  return hooks;
}

bool hook_matches(const std::string& filter, const std::string& topic) {
  if (!topic.empty() && topic[0] == '$' && (filter[0] == '+' || filter[0] == '#')) return false;
  return matches(filter, topic);
}

HookNeeds needs_plainly(const std::vector<Hook>& hooks, const std::string& topic) {
  HookNeeds needs;
  for (const Hook& hook : hooks) {
    if (!hook_matches(hook.filter, topic)) continue;
    needs.kinds |= hook.kind;
    HookWait* wait = hook.kind == kHookPublish     ? &needs.publish
                     : hook.kind == kHookSubscribe ? &needs.subscribe
                     : hook.kind == kHookDeliver   ? &needs.deliver
                                                   : nullptr;
    if (wait == nullptr) continue;
    const std::uint64_t sum = std::uint64_t{wait->timeout_ms} + hook.timeout_ms;
    wait->timeout_ms =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, HookSet::kMaxWaitMs));
    wait->drops = wait->drops || hook.drops;
  }
  return needs;
}

std::string form_of(Tokens& input) {
  const std::uint32_t count = input.below(12);
  std::string form;
  const auto number = [&](std::size_t value, std::size_t bytes) {
    for (std::size_t n = 0; n < bytes; ++n) form += static_cast<char>(value >> (8 * n) & 0xFF);
  };
  number(count, 4);
  for (std::uint32_t at = 0; at < count; ++at) {
    const std::string filter = input.levels(kLevels, true);
    number(std::size_t{1} << input.below(8), 1);
    number(input.below(2), 1);
    number(filter.size(), 2);
    number(std::size_t{input.byte()} << input.below(25), 4);
    form += filter;
  }
  return form;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Tokens input(data + 1, size - 1);
  const std::string form =
      (data[0] & 1) != 0 ? form_of(input) : std::string(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto set = HookSet::read(as_bytes(form));
  if (set == nullptr) return 0;
  const std::vector<Hook> hooks = read_plainly(form);
  require(hooks.size() == set->size(), "size");
  std::uint8_t kinds = 0;
  for (const Hook& hook : hooks) {
    kinds |= hook.kind;
    require(wire::valid_topic_filter(as_bytes(hook.filter)), "a filter");
  }
  require(set->kinds() == kinds, "kinds");
  for (int more = 0; more < 8; ++more) {
    const std::string topic = input.levels(kLevels, false);
    const HookNeeds needs = set->needs(as_bytes(topic));
    require(needs == needs_plainly(hooks, topic), "needs of a topic");
    // A filter without wildcards matches that topic alone.
    require(set->needs_of_filter(as_bytes(topic)) == needs, "needs of it as a filter");
    const std::string filter = input.levels(kLevels, true);
    const HookNeeds of_filter = set->needs_of_filter(as_bytes(filter));
    if (hook_matches(filter, topic)) {
      require((needs.kinds & ~of_filter.kinds) == 0, "a filter needs what its topics need");
    }
    for (const Hook& hook : hooks) {
      require(filters_overlap(as_bytes(hook.filter), as_bytes(filter)) ==
                  filters_overlap(as_bytes(filter), as_bytes(hook.filter)),
              "overlap is mutual");
    }
  }
  return 0;
}

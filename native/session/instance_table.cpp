#include "session/instance_table.hpp"

namespace stmqtt {

std::uint32_t InstanceTable::add(Bytes base, SessionRef session, const Owner& owner) {
  auto found = groups_.find(as_text(base));
  if (found == groups_.end()) {
    found = groups_.try_emplace(std::string(as_text(base))).first;
    found->second.username = as_text(owner.username);
    found->second.authenticated = owner.authenticated;
  }
  Group& group = found->second;
  ++group.count;
  if (group.free.empty()) {
    group.sessions.push_back(session);
    return static_cast<std::uint32_t>(group.sessions.size());
  }
#ifdef STMQTT_MUTANT_INSTANCE_NUMBERS_NOT_LEAST
  std::ranges::sort(group.free);
#else
  std::ranges::pop_heap(group.free, std::greater<>());
#endif
  const std::uint32_t number = group.free.back();
  group.free.pop_back();
  group.sessions[number - 1] = session;
  return number;
}

void InstanceTable::remove(Bytes base, std::uint32_t number) noexcept {
  const auto found = groups_.find(as_text(base));
  if (found == groups_.end()) return;
  Group& group = found->second;
  if (--group.count == 0) {
    groups_.erase(found);
    return;
  }
  group.sessions[number - 1] = SessionRef{};
  group.free.push_back(number);
  std::ranges::push_heap(group.free, std::greater<>());
}

SessionRef InstanceTable::find(Bytes base, std::uint32_t number) const noexcept {
  const Group* group = group_of(base);
  if (group == nullptr || number == 0 || number > group->sessions.size()) return {};
  return group->sessions[number - 1];
}

Instance InstanceTable::least(Bytes base) const noexcept {
  const Group* group = group_of(base);
  if (group == nullptr) return {};
  const auto& sessions = group->sessions;
  const auto found = std::ranges::find_if(sessions, [](const SessionRef& s) { return s.valid(); });
  return {*found, static_cast<std::uint32_t>(found - sessions.begin() + 1)};
}

bool InstanceTable::may_join(Bytes base, const Owner& owner) const noexcept {
  const Group* group = group_of(base);
  if (group == nullptr) return true;
  return owner.may_share({as_bytes(group->username), group->authenticated});
}

}  // namespace stmqtt

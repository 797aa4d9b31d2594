// A router as plain as the specification: lists searched from end to end. The model that the trie
// and the retained index are held against, here and in test/fuzz/trie.cpp.
// Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/bytes.hpp"
#include "route/match_result.hpp"
#include "route/subscription.hpp"
#include "route/topic_trie.hpp"

namespace stmqtt::naive {

/// By how much random tests are cut short where a sanitizer makes them slow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kSlowdown = 6;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr int kSlowdown = 6;
#else
inline constexpr int kSlowdown = 1;
#endif
#else
inline constexpr int kSlowdown = 1;
#endif

/// Repeatable random numbers (splitmix64).
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
  }
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(next() % bound); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

inline std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> levels;
  for (;;) {
    const auto slash = text.find('/');
    levels.push_back(text.substr(0, slash));
    if (slash == std::string_view::npos) return levels;
    text.remove_prefix(slash + 1);
  }
}

inline bool matches(std::string_view filter, std::string_view topic) {
  const auto wanted = split(filter);
  const auto given = split(topic);
  if (topic.starts_with('$') && (wanted[0] == "+" || wanted[0] == "#")) return false;
  std::size_t i = 0;
  for (; i < wanted.size(); ++i) {
    if (wanted[i] == "#") return true;  // i levels agreed; "#" stands for the rest or nothing
    if (i == given.size()) return false;
    if (wanted[i] != "+" && wanted[i] != given[i]) return false;
  }
  return i == given.size();
}

using Session = std::tuple<unsigned, std::uint32_t, std::uint32_t>;  // thread, slot, generation
inline Session session_of(const SessionRef& ref) { return {ref.thread, ref.slot, ref.generation}; }

/// One hit or member: filter, Subscription Identifier, options, persistent.
using Hit = std::tuple<std::string, std::uint32_t, unsigned, bool>;

/// Everything that a match says, in a form that compares.
struct Match {
  std::map<Session, std::multiset<Hit>> receivers;
  std::map<std::string, std::vector<std::pair<Session, Hit>>> shared;  ///< by full filter, in order
  friend bool operator==(const Match&, const Match&) = default;

  [[nodiscard]] std::string text() const {
    std::string out;
    const auto put_session = [&](const Session& s) {
      out += "t" + std::to_string(std::get<0>(s)) + "/s" + std::to_string(std::get<1>(s)) + "." +
             std::to_string(std::get<2>(s));
    };
    const auto put_hit = [&](const Hit& h) {
      out += " {" + std::get<0>(h) + " id " + std::to_string(std::get<1>(h)) + " options " +
             std::to_string(std::get<2>(h)) + (std::get<3>(h) ? " persistent}" : "}");
    };
    for (const auto& [session, hits] : receivers) {
      put_session(session);
      for (const Hit& hit : hits) put_hit(hit);
      out += "\n";
    }
    for (const auto& [filter, members] : shared) {
      out += filter + ":";
      for (const auto& [session, hit] : members) {
        out += " ";
        put_session(session);
        put_hit(hit);
      }
      out += "\n";
    }
    return out;
  }
};

class Router {
 public:
  /// True if the session had the filter.
  bool subscribe(const std::string& share, const std::string& filter, const Subscriber& who) {
    auto& list = filters_[{share, filter}];
    for (Subscriber& each : list) {
      if (each.session != who.session) continue;
      each = who;
      return true;
    }
    list.push_back(who);
    return false;
  }
  bool unsubscribe(const std::string& share, const std::string& filter, const SessionRef& session) {
    const auto at = filters_.find({share, filter});
    if (at == filters_.end()) return false;
    const auto gone =
        std::erase_if(at->second, [&](const Subscriber& s) { return s.session == session; });
    if (at->second.empty()) filters_.erase(at);
    return gone > 0;
  }
  std::size_t remove(const SessionRef& session) {
    std::size_t count = 0;
    for (auto at = filters_.begin(); at != filters_.end();) {
      count +=
          std::erase_if(at->second, [&](const Subscriber& s) { return s.session == session; });
      at = at->second.empty() ? filters_.erase(at) : std::next(at);
    }
    return count;
  }
  void set_persistent(const SessionRef& session, bool persistent) {
    for (auto& [parts, list] : filters_) {
      for (Subscriber& each : list) {
        if (each.session == session) each.persistent = persistent;
      }
    }
  }

  [[nodiscard]] Match match(std::string_view topic) const {
    Match result;
    for (const auto& [parts, list] : filters_) {
      const auto& [share, filter] = parts;
      if (!matches(filter, topic)) continue;
      for (const Subscriber& each : list) {
        const Hit hit{filter, each.subscription_id, each.options.bits, each.persistent};
        if (share.empty()) {
          result.receivers[session_of(each.session)].insert(hit);
        } else {
          result.shared["$share/" + share + "/" + filter].emplace_back(session_of(each.session),
                                                                       hit);
        }
      }
    }
    return result;
  }
  [[nodiscard]] std::size_t size() const {
    std::size_t count = 0;
    for (const auto& [parts, list] : filters_) count += list.size();
    return count;
  }

 private:
  std::map<std::pair<std::string, std::string>, std::vector<Subscriber>> filters_;
};

/// The same form of what the trie found. `mistake`, if it stays empty, says that the result agrees
/// with itself: order, partitions, highest QoS, flags.
inline Match read(const TopicTrie& trie, const MatchResult& result, std::string& mistake) {
  Match match;
  const auto expect = [&](bool good, const char* what) {
    if (!good && mistake.empty()) mistake = what;
  };
  unsigned top_qos = 0;
  bool top_persistent = false;
  std::uint32_t receivers = 0;
  int last_thread = -1;
  for (const Partition& partition : result.partitions()) {
    expect(partition.thread > last_thread, "partitions in the order of threads");
    last_thread = partition.thread;
    expect(partition.receiver_count > 0, "no empty partition");
    unsigned partition_qos = 0;
    bool partition_persistent = false;
    std::int64_t last_slot = -1;
    for (const Receiver& receiver : result.receivers(partition)) {
      ++receivers;
      expect(receiver.slot >= last_slot, "receivers in the order of slots");
      last_slot = receiver.slot;
      const Session session{partition.thread, receiver.slot, receiver.generation};
      expect(!match.receivers.contains(session), "one receiver for each session");
      unsigned qos = 0;
      bool any_local = false;
      bool all_local = true;
      bool any_retain = false;
      bool any_id = false;
      const bool persistent = (receiver.flags & kNeedsStore) != 0;
      auto& hits = match.receivers[session];
      for (const stmqtt::Hit& hit : result.hits(receiver)) {
        hits.insert({trie.filter_of({hit.node, 0}), hit.subscription_id, hit.options.bits,
                     persistent});
        qos = qos > hit.options.qos() ? qos : hit.options.qos();
        any_local = any_local || hit.options.no_local();
        all_local = all_local && hit.options.no_local();
        any_retain = any_retain || hit.options.retain_as_published();
        any_id = any_id || hit.subscription_id != 0;
      }
      expect(receiver.hit_count > 0, "a receiver has a hit");
      expect(receiver.max_qos == qos, "highest QoS of the receiver");
      expect(((receiver.flags & kAnyNoLocal) != 0) == any_local, "kAnyNoLocal");
      expect(((receiver.flags & kAllNoLocal) != 0) == all_local, "kAllNoLocal");
      expect(((receiver.flags & kAnyRetainAsPublished) != 0) == any_retain, "kAnyRetain...");
      expect(((receiver.flags & kHasSubscriptionIds) != 0) == any_id, "kHasSubscriptionIds");
      partition_qos = partition_qos > qos ? partition_qos : qos;
      partition_persistent = partition_persistent || persistent;
    }
    expect(partition.max_qos == partition_qos, "highest QoS of the partition");
    expect(partition.any_persistent == partition_persistent, "any_persistent of the partition");
    top_qos = top_qos > partition_qos ? top_qos : partition_qos;
    top_persistent = top_persistent || partition_persistent;
  }
  expect(result.max_qos() == top_qos, "highest QoS of the result");
  expect(result.any_persistent() == top_persistent, "any_persistent of the result");
  expect(result.receiver_count() == receivers, "receiver_count");
  for (const SharedMembers* group : result.shared()) {
    const std::string filter = trie.filter_of(group->state().key());
    expect(!match.shared.contains(filter), "one list for each group");
    // Without the prefix, as the model has it in its hits.
    const std::string inner = filter.substr(filter.find('/', filter.find('/') + 1) + 1);
    auto& members = match.shared[filter];
    bool persistent = false;
    for (const SharedMember* member : group->members()) {
      members.emplace_back(session_of(member->session()),
                           Hit{inner, member->subscription_id(), member->options().bits,
                               member->persistent()});
      persistent = persistent || member->persistent();
    }
    expect(!members.empty(), "a group has a member");
    expect(group->any_persistent() == persistent, "any_persistent of the group");
  }
  expect(result.empty() == (match.receivers.empty() && match.shared.empty()), "empty()");
  return match;
}

}  // namespace stmqtt::naive

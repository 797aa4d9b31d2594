// The sequential model: what every session may and must get, from the spans of what happened.
// Knows nothing of shards, FIFOs or stores.
// Thread: one.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "model/history.hpp"

namespace stmqtt::model {

/// How often a session may and must get a text, and in what form.
struct Bounds {
  int least = 0;  ///< copies that it must get; QoS 0 counts as none
  int most = 0;
  int least_qos = 3;
  int most_qos = -1;
  bool plain = false;     ///< may come without RETAIN
  bool retained = false;  ///< may come with RETAIN
  bool exact_ids = false;
  std::vector<std::uint32_t> ids;  ///< sorted; all that may come
};

class Reference {
 public:
  // --- what happened
  int add_text(Text text);
  /// The text with this payload, or of the clears of this topic; -1 if there is none.
  [[nodiscard]] int find_text(const std::string& topic, const std::string& payload) const;
  int add_session(SessionState session);
  void route(int text, int publisher, Span at);
  /// Returns the index of the new subscription; `existed` says that it replaced one.
  int subscribe(int session, const FilterText& filter, std::uint32_t id, Span at, bool& existed);
  /// The subscription that it ended; -1 if there was none.
  int unsubscribe(int session, const std::string& filter, Span at);
  void end_session(int session, Span at);
  /// The end of what was told with this open end is known now.
  void close_spans(std::uint64_t open_end, std::uint64_t end);

  // --- what follows from it
  [[nodiscard]] Bounds bounds(int session, int text) const;
  /// Somebody must, or might, get a text published at this time.
  [[nodiscard]] bool must_match(int text, int publisher, Span at) const;
  [[nodiscard]] bool may_match(int text, Span at) const;
  [[nodiscard]] bool must_store(int text, int publisher, Span at) const;
  /// Non-shared sessions that a publication must reach. Connected or not.
  [[nodiscard]] int certain_receivers(int text, int publisher, Span at) const;
  /// The first broken promise, in words; empty if all were kept. `lossless`: nothing was dropped.
  [[nodiscard]] std::string check_all(bool lossless) const;
  /// Copies of QoS 1 and 2 that had to arrive and did not.
  [[nodiscard]] int missing() const;

  /// When the text was routed and what the session subscribed to, for traces.
  [[nodiscard]] std::string story(int session, int text) const;

  [[nodiscard]] int live_session(const std::string& client_id) const;

  std::deque<Text> texts;
  std::deque<SessionState> sessions;
  std::vector<Published> publications;
  std::deque<Sub> subs;

 private:
  struct RetainedSet {
    int publication;  ///< index
    Span at;
  };
  [[nodiscard]] bool matches(const Sub& sub, const Text& text) const;
  void add_live(Bounds& bounds, int session, int publication) const;
  void add_scans(Bounds& bounds, int session, int publication) const;
  [[nodiscard]] std::string check_session(int session, bool lossless) const;
  [[nodiscard]] std::string check_group_text(int text, bool lossless) const;
  /// Another retained publish of the topic came later, or might have.
  [[nodiscard]] bool replaced(int publication) const;
  [[nodiscard]] bool certain(const Sub& sub, Span at) const {
    return !sub.doubtful && sub.begin.before(at) && at.before(sub.end);
  }
  [[nodiscard]] static bool possible(const Sub& sub, Span at) {
    return sub.begin.from <= at.to && at.from <= sub.end.to;
  }

  std::map<std::string, int> by_payload_;
  std::map<std::string, int> clears_;
  std::map<std::string, std::vector<RetainedSet>> retained_;
  std::map<int, std::vector<int>> subs_of_;  ///< by session
  mutable std::map<std::pair<std::string, std::string>, bool> match_memo_;
};

}  // namespace stmqtt::model

#include "model/reference.hpp"

#include <algorithm>

#include "route_naive.hpp"

namespace stmqtt::model {
namespace {

/// $share/name/filter, taken apart; no share for any other.
std::pair<std::string, std::string> parts_of(const std::string& filter) {
  if (!filter.starts_with("$share/")) return {"", filter};
  const auto slash = filter.find('/', 7);
  return {filter.substr(7, slash - 7), filter.substr(slash + 1)};
}

}  // namespace

int Reference::add_text(Text text) {
  const int index = static_cast<int>(texts.size());
  if (text.clears()) {
    const auto known = clears_.find(text.topic);
    if (known != clears_.end()) return known->second;
    clears_[text.topic] = index;
  } else {
    by_payload_[text.payload] = index;
  }
  texts.push_back(std::move(text));
  return index;
}

int Reference::find_text(const std::string& topic, const std::string& payload) const {
  const auto& map = payload.empty() ? clears_ : by_payload_;
  const auto found = map.find(payload.empty() ? topic : payload);
  return found == map.end() ? -1 : found->second;
}

int Reference::add_session(SessionState session) {
  sessions.push_back(std::move(session));
  return static_cast<int>(sessions.size()) - 1;
}

int Reference::live_session(const std::string& client_id) const {
  for (std::size_t at = sessions.size(); at > 0; --at) {
    const SessionState& session = sessions[at - 1];
    if (!session.ended && session.client_id == client_id) return static_cast<int>(at) - 1;
  }
  return -1;
}

void Reference::route(int text, int publisher, Span at) {
  const int index = static_cast<int>(publications.size());
  publications.push_back({text, publisher, at});
  texts[static_cast<std::size_t>(text)].publications.push_back(index);
  const Text& what = texts[static_cast<std::size_t>(text)];
  if (what.retain) retained_[what.topic].push_back({index, at});
}

int Reference::subscribe(int session, const FilterText& filter, std::uint32_t id, Span at,
                         bool& existed) {
  existed = unsubscribe(session, filter.filter, at) >= 0;
  Sub sub;
  sub.session = session;
  std::tie(sub.share, sub.filter) = parts_of(filter.filter);
  sub.options = filter;
  sub.id = id;
  sub.begin = at;
  sub.fresh = !existed;
  sub.scans = sub.share.empty() && (filter.retain_handling == 0 ||
                                    (filter.retain_handling == 1 && !existed));
  const int index = static_cast<int>(subs.size());
  subs.push_back(std::move(sub));
  subs_of_[session].push_back(index);
  return index;
}

int Reference::unsubscribe(int session, const std::string& filter, Span at) {
  for (const int index : subs_of_[session]) {
    Sub& sub = subs[static_cast<std::size_t>(index)];
    if (sub.end.from != kNever || sub.options.filter != filter) continue;
    sub.end = at;
    return index;
  }
  return -1;
}

void Reference::end_session(int session, Span at) {
  SessionState& state = sessions[static_cast<std::size_t>(session)];
  state.ended = true;
  state.end = at;
  for (const int index : subs_of_[session]) {
    Sub& sub = subs[static_cast<std::size_t>(index)];
    if (sub.end.from == kNever) sub.end = at;
  }
}

void Reference::close_spans(std::uint64_t open_end, std::uint64_t end) {
  const auto close = [&](Span& span) {
    if (span.to == open_end) span.to = end;
  };
  for (SessionState& session : sessions) {
    close(session.begin);
    close(session.end);
  }
  for (Sub& sub : subs) {
    close(sub.begin);
    close(sub.end);
  }
  for (Published& publication : publications) close(publication.at);
  for (auto& [topic, sets] : retained_) {
    for (RetainedSet& set : sets) close(set.at);
  }
}

std::string Reference::story(int session, int index) const {
  const auto tick = [](std::uint64_t at) {
    return at > kNever / 2 ? std::string("open") : std::to_string(at);
  };
  const auto text_of = [&](const Span& span) { return tick(span.from) + "-" + tick(span.to); };
  const Text& text = texts[static_cast<std::size_t>(index)];
  std::string story = "'" + text.payload.substr(0, 20) + "' on " + text.topic + " routed";
  for (const int at : text.publications) {
    story += " " + text_of(publications[static_cast<std::size_t>(at)].at);
  }
  for (const Sub& sub : subs) {
    if (sub.session != session) continue;
    story += "\n  " + sub.options.filter + " qos " + std::to_string(sub.options.qos) + " " +
             text_of(sub.begin) + " to " + text_of(sub.end) + (sub.fresh ? "" : " replacing") +
             (sub.scans ? " scans" : "") + (sub.doubtful ? " doubtful" : "");
  }
  return story;
}

bool Reference::matches(const Sub& sub, const Text& text) const {
  const auto [at, fresh] = match_memo_.try_emplace({sub.filter, text.topic}, false);
  if (fresh) at->second = naive::matches(sub.filter, text.topic);
  return at->second;
}

/// The live copy: one for all subscriptions of the session that match.
void Reference::add_live(Bounds& bounds, int session, int index) const {
  const auto mine = subs_of_.find(session);
  if (mine == subs_of_.end()) return;
  const Published& publication = publications[static_cast<std::size_t>(index)];
  const Text& text = texts[static_cast<std::size_t>(publication.text)];
  int certain_qos = -1;
  int due_qos = -1;
  int least = 3;
  int most = -1;
  int racing = 0;
  bool other_maybe = false;
  bool skippable = false;
  bool any_rap = false;
  bool certain_rap = false;
  bool any_plain = false;
  std::vector<std::uint32_t> ids;
  for (const int at : mine->second) {
    const Sub& sub = subs[static_cast<std::size_t>(at)];
    if (!sub.share.empty() || !possible(sub, publication.at) || !matches(sub, text)) continue;
    if (sub.options.no_local && publication.publisher == session) continue;
    const int qos = std::min<int>(text.qos, sub.options.qos);
    least = std::min(least, qos);
    most = std::max(most, qos);
    if (sub.id != 0) ids.push_back(sub.id);
    (sub.options.retain_as_published ? any_rap : any_plain) = true;
    if (certain(sub, publication.at)) {
      certain_qos = std::max(certain_qos, qos);
      // A retained message that crosses threads while its subscription ends may be taken for one
      // that a new subscription has scanned.
      if (text.retain && sub.end.from != kNever) {
        skippable = true;
      } else {
        due_qos = std::max(due_qos, qos);
        certain_rap = certain_rap || sub.options.retain_as_published;
      }
    } else if (text.retain && !text.clears() && sub.fresh && sub.scans &&
               sub.begin.overlaps(publication.at) && sub.end.from == kNever) {
      ++racing;
    } else {
      other_maybe = true;
    }
  }
  if (most < 0) return;
  // A racing subscription may have a scan of its own, at its own QoS.
  const bool one_form = certain_qos >= 0 && racing == 0 && !skippable;
  bounds.least_qos = std::min(bounds.least_qos, one_form ? certain_qos : least);
  bounds.most_qos = std::max(bounds.most_qos, most);
  bounds.retained = bounds.retained || (text.retain && any_rap) || racing > 0;
  bounds.plain = bounds.plain || !text.retain || (any_plain && !certain_rap);
  const bool only_certain = racing == 0 && !other_maybe && !skippable;
  bounds.exact_ids = only_certain && bounds.ids.empty() && bounds.most == 0;
  bounds.ids.insert(bounds.ids.end(), ids.begin(), ids.end());
  if (certain_qos >= 0) {
    bounds.least += due_qos > 0 ? 1 : 0;
    bounds.most += 1 + racing;  // each racing one may be in the copy, or scan one of its own
    return;
  }
  // Racing with a new subscription: the scan has it, or it comes live; never neither, never both.
  // Unless it is replaced before the scan gets there.
  bounds.least += racing > 0 && !replaced(index) && !other_maybe && least > 0 ? 1 : 0;
  bounds.most += racing + (other_maybe ? 1 : 0);
}

bool Reference::replaced(int index) const {
  const Published& publication = publications[static_cast<std::size_t>(index)];
  for (const RetainedSet& other :
       retained_.at(texts[static_cast<std::size_t>(publication.text)].topic)) {
    if (other.publication != index && !other.at.before(publication.at)) return true;
  }
  return false;
}

/// Copies that scans for retained messages deliver: one for each subscription that scans.
void Reference::add_scans(Bounds& bounds, int session, int index) const {
  const auto mine = subs_of_.find(session);
  const Published& publication = publications[static_cast<std::size_t>(index)];
  const Text& text = texts[static_cast<std::size_t>(publication.text)];
  if (mine == subs_of_.end() || !text.retain || text.clears()) return;
  for (const int at : mine->second) {
    const Sub& sub = subs[static_cast<std::size_t>(at)];
    if (!sub.scans || !matches(sub, text) || sub.begin.before(publication.at)) continue;
    if (sub.options.no_local && publication.publisher == session) continue;
    const bool racing = sub.begin.overlaps(publication.at);
    if (racing && sub.fresh && sub.end.from == kNever) continue;  // counted with the live copies
    bool hidden = false;
    // Replaced at some time: perhaps before the scan got there.
    const bool doubtful = racing || sub.doubtful || sub.end.from != kNever ||
                          text.expiry_s != 0 || replaced(index);
    for (const RetainedSet& other : retained_.at(text.topic)) {
      hidden = hidden || (publication.at.before(other.at) && other.at.before(sub.begin));
    }
    if (hidden) continue;
    const int qos = std::min<int>(text.qos, sub.options.qos);
    bounds.least_qos = std::min(bounds.least_qos, qos);
    bounds.most_qos = std::max(bounds.most_qos, qos);
    bounds.retained = true;
    bounds.exact_ids = false;
    if (sub.id != 0) bounds.ids.push_back(sub.id);
    bounds.most += 1;
    if (!doubtful && qos > 0) bounds.least += 1;
  }
}

Bounds Reference::bounds(int session, int text_index) const {
  Bounds bounds;
  const Text& text = texts[static_cast<std::size_t>(text_index)];
  for (const int publication : text.publications) {
    if (text.shared) {
      // A member that joined later may get what another one gave up.
      const auto mine = subs_of_.find(session);
      if (mine == subs_of_.end()) break;
      for (const int index : mine->second) {
        const Sub& sub = subs[static_cast<std::size_t>(index)];
        if (sub.share.empty() || !matches(sub, text)) continue;
        if (sub.end.before(publications[static_cast<std::size_t>(publication)].at)) continue;
        const int qos = std::min<int>(text.qos, sub.options.qos);
        bounds.least_qos = std::min(bounds.least_qos, qos);
        bounds.most_qos = std::max(bounds.most_qos, qos);
        bounds.most += 1;
        bounds.plain = true;
        bounds.retained = text.retain;
        if (sub.id != 0) bounds.ids.push_back(sub.id);
      }
      continue;
    }
    add_live(bounds, session, publication);
    add_scans(bounds, session, publication);
  }
  std::sort(bounds.ids.begin(), bounds.ids.end());
  const SessionState& state = sessions[static_cast<std::size_t>(session)];
  if (state.ended || text.expiry_s != 0) bounds.least = 0;
  return bounds;
}

bool Reference::must_match(int text, int publisher, Span at) const {
  for (const Sub& sub : subs) {
    if (sub.options.no_local && sub.session == publisher) continue;
    if (certain(sub, at) && matches(sub, texts[static_cast<std::size_t>(text)])) return true;
  }
  return false;
}

bool Reference::may_match(int text, Span at) const {
  for (const Sub& sub : subs) {
    if (possible(sub, at) && matches(sub, texts[static_cast<std::size_t>(text)])) return true;
  }
  return false;
}

bool Reference::must_store(int text, int publisher, Span at) const {
  const Text& what = texts[static_cast<std::size_t>(text)];
  if (what.retain) return true;
  for (const Sub& sub : subs) {
    if (sub.options.no_local && sub.session == publisher) continue;
    const SessionState& session = sessions[static_cast<std::size_t>(sub.session)];
    if (session.persistent() && sub.options.qos > 0 && sub.share.empty() && certain(sub, at) &&
        matches(sub, what)) {
      return true;
    }
  }
  return false;
}

int Reference::certain_receivers(int text, int publisher, Span at) const {
  std::set<int> receivers;
  for (const Sub& sub : subs) {
    if (!sub.share.empty() || (sub.options.no_local && sub.session == publisher)) continue;
    if (certain(sub, at) && matches(sub, texts[static_cast<std::size_t>(text)])) {
      receivers.insert(sub.session);
    }
  }
  return static_cast<int>(receivers.size());
}

std::string Reference::check_session(int session, bool lossless) const {
  const SessionState& state = sessions[static_cast<std::size_t>(session)];
  const auto count = [](const std::map<int, int>& map, int key) {
    const auto found = map.find(key);
    return found == map.end() ? 0 : found->second;
  };
  for (int text = 0; text < static_cast<int>(texts.size()); ++text) {
    const Text& what = texts[static_cast<std::size_t>(text)];
    const Bounds allowed = bounds(session, text);
    const int completed = count(state.completed, text);
    const std::string where = " of '" + what.payload.substr(0, 20) + "' on " + what.topic + " at " +
                              state.client_id + " (session " + std::to_string(session) + ")";
    if (completed > allowed.most) {
      return std::to_string(completed) + " copies" + where + ", at most " +
             std::to_string(allowed.most) + " were due";
    }
    if (!what.shared && lossless && completed < allowed.least) {
      return std::to_string(completed) + " copies" + where + ", at least " +
             std::to_string(allowed.least) + " were due";
    }
    if (completed > 0 && count(state.delivered, text) == 0) {
      return "acknowledged but never taken" + where;
    }
  }
  return {};
}

/// Over all sessions: one member of each group.
std::string Reference::check_group_text(int index, bool lossless) const {
  const Text& text = texts[static_cast<std::size_t>(index)];
  std::map<std::pair<std::string, std::string>, bool> groups;  // is somebody there to the end?
  int least = 0;
  int most = 0;
  for (const int publication : text.publications) {
    const Span at = publications[static_cast<std::size_t>(publication)].at;
    groups.clear();
    bool some_qos0 = text.qos == 0;
    bool member_ended = false;
    for (const Sub& sub : subs) {
      if (sub.share.empty() || !matches(sub, text)) continue;
      some_qos0 = some_qos0 || sub.options.qos == 0;
      member_ended = member_ended || sub.end.from != kNever;
      if (!possible(sub, at)) continue;
      bool& stays = groups[{sub.share, sub.filter}];
      stays = stays || (certain(sub, at) && sub.end.from == kNever);
    }
    most += static_cast<int>(groups.size());
    for (const auto& [group, stays] : groups) {
      // QoS 2 once sent ends with its session; so may what a member that left still had.
      if (stays && !some_qos0 && text.expiry_s == 0 && (!member_ended || text.qos == 1)) ++least;
    }
  }
  int completed = 0;
  int received0 = 0;
  for (const SessionState& session : sessions) {
    const auto done = session.completed.find(index);
    if (done != session.completed.end()) completed += done->second;
    const auto zero = session.received0.find(index);
    if (zero != session.received0.end()) received0 += zero->second;
  }
  const std::string what = "'" + text.payload.substr(0, 20) + "' on " + text.topic + ": " +
                           std::to_string(completed + received0) + " members got it, ";
  if (completed + received0 > most) return what + "at most " + std::to_string(most);
  if (lossless && completed < least) return what + "at least " + std::to_string(least);
  return {};
}

std::string Reference::check_all(bool lossless) const {
  for (int session = 0; session < static_cast<int>(sessions.size()); ++session) {
    std::string broken = check_session(session, lossless);
    if (!broken.empty()) return broken;
  }
  for (int text = 0; text < static_cast<int>(texts.size()); ++text) {
    if (!texts[static_cast<std::size_t>(text)].shared) continue;
    std::string broken = check_group_text(text, lossless);
    if (!broken.empty()) return broken;
  }
  return {};
}

int Reference::missing() const {
  int missing = 0;
  for (int session = 0; session < static_cast<int>(sessions.size()); ++session) {
    const SessionState& state = sessions[static_cast<std::size_t>(session)];
    for (int text = 0; text < static_cast<int>(texts.size()); ++text) {
      if (texts[static_cast<std::size_t>(text)].shared) continue;
      const auto done = state.completed.find(text);
      const int completed = done == state.completed.end() ? 0 : done->second;
      missing += std::max(0, bounds(session, text).least - completed);
    }
  }
  return missing;
}

}  // namespace stmqtt::model

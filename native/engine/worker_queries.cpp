// Worker: queries of TypeScript's, answered by whoever has what they ask about. A query that is not
// for this thread goes on to the one that it is for; a reply goes to TypeScript from here.
// Thread: its I/O thread.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <string>

#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "engine/worker.hpp"
#include "engine/worker_query.hpp"
#include "wire/topic.hpp"

namespace stmqtt {

using contract::QueryKind;
using contract::QueryStatus;

namespace {

constexpr std::uint32_t kRowsPerTurn = 200;
/// Below this, what the clocks differ by is noise: times told twice must be the same.
constexpr std::int64_t kClockNoiseMs = 200;

std::int64_t wall_ms() noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

constexpr char kClientsCursor = 'c';
constexpr char kSubscriptionsCursor = 's';
constexpr char kClientsSubscriptionsCursor = 'u';
constexpr char kRoutesCursor = 'r';
constexpr char kRetainedCursor = 't';
constexpr char kLogsCursor = 'l';
constexpr char kDenialsCursor = 'd';

}  // namespace

void Worker::take_query(const std::uint8_t* record) noexcept {
  const Asked asked(record);
  PageBounds bounds;
  bounds.rows = std::clamp<std::uint32_t>(asked.query.limit, 1, kRowsPerTurn);
  bounds.wall_offset_ms = wall_offset_ms();
  Answer answer;
  bool here = true;
  switch (static_cast<QueryKind>(asked.query.query)) {
    case QueryKind::clients:
    case QueryKind::logs:
    case QueryKind::denials:
      here = answer_by_slot(asked, bounds, answer);
      break;
    case QueryKind::client:
    case QueryKind::kick:
    case QueryKind::session_end:
    case QueryKind::subscribe:
    case QueryKind::unsubscribe:
      here = answer_about_session(asked, bounds, answer);
      break;
    case QueryKind::subscriptions:
      here = answer_subscriptions(asked, bounds, answer);
      break;
    case QueryKind::routes:
      answer_routes(asked, bounds, answer);
      break;
    case QueryKind::retained:
      answer_retained(asked, bounds, answer);
      break;
    case QueryKind::retained_message:
      if (!shard_.describe_retained(asked.text, bounds, answer.rows, answer.data)) {
        answer.status = QueryStatus::not_found;
      }
      break;
    case QueryKind::retained_delete:
      if (!shard_.delete_retained(asked.text)) answer.status = QueryStatus::not_found;
      break;
    case QueryKind::names:
      answer_names(asked, answer);
      break;
    case QueryKind::log:
      here = answer_log(asked, bounds, answer);
      break;
    case QueryKind::ping:
      break;
  }
  if (here) reply(asked.query.query_id, answer);
}

/// These say false where the query went on to another thread, or is answered later.
bool Worker::answer_by_slot(const Asked& asked, const PageBounds& bounds, Answer& answer) noexcept {
  const auto kind = static_cast<QueryKind>(asked.query.query);
  const char listing = kind == QueryKind::logs      ? kLogsCursor
                       : kind == QueryKind::denials ? kDenialsCursor
                                                    : kClientsCursor;
  ThreadIndex thread = 0;
  std::uint32_t slot = 0;
  if (!asked.cursor.empty()) {
    CursorReader cursor(asked.cursor, listing);
    thread = cursor.u8();
    slot = cursor.u32();
    if (!cursor.ends() || thread >= outboxes_.size()) {
      answer.status = QueryStatus::bad_cursor;
      return true;
    }
  }
  if (thread != index_) return pass_on(asked, thread);
  answer.rows.begin_array();
  slot = kind == QueryKind::logs      ? shard_.logs().list(slot, bounds, answer.rows)
         : kind == QueryKind::denials ? shard_.denials().list(slot, bounds, answer.rows)
                                      : shard_.list_sessions(slot, bounds, answer.rows);
  answer.rows.end_array();
  if (slot != kListed) {
    answer.cursor = CursorWriter(listing).u8(thread).u32(slot).take();
  } else if (thread + 1U < outboxes_.size()) {
    answer.cursor = CursorWriter(listing).u8(static_cast<std::uint8_t>(thread + 1)).u32(0).take();
  }
  return true;
}

bool Worker::answer_about_session(const Asked& asked, const PageBounds& bounds,
                                  Answer& answer) noexcept {
  const SessionRef session = shard_.find_home(asked.client_id, asked.query.instance);
  // Between two looks it may have ended and begun elsewhere: then the query follows it.
  if (session.valid() && session.thread != index_) return pass_on(asked, session.thread);
  const auto kind = static_cast<QueryKind>(asked.query.query);
  bool found = true;
  if (kind == QueryKind::client) {
    found = shard_.describe_session(session, bounds, answer.rows);
  } else if (kind == QueryKind::kick || kind == QueryKind::session_end) {
    const auto reason = kind == QueryKind::kick
                            ? static_cast<wire::ReasonCode>(asked.query.reason_code)
                            : wire::ReasonCode::administrative_action;
    const bool others = asked.query.instance == contract::kAnyInstance &&
                        shard_.kick_beside(session, reason, asked.text);
    const bool one = kind == QueryKind::kick ? shard_.kick(session, reason, asked.text)
                                             : shard_.terminate(session);
    found = one || others;
  } else {
    found = change_subscription(asked, session);
    if (found) return false;
  }
  if (!found) answer.status = QueryStatus::not_found;
  return true;
}

/// Answered by answer(), as soon as the store lets it. False: there is no such session.
bool Worker::change_subscription(const Asked& asked, const SessionRef& session) noexcept {
  wire::SubscriptionView view;
  view.topic_filter = asked.text;
  wire::ReasonCode reason = wire::parse_topic_filter(asked.text, view.filter);
  const auto options = SubscriptionOptions::from_byte(asked.query.options);
  view.qos = options.qos();
  view.no_local = options.no_local();
  view.retain_as_published = options.retain_as_published();
  view.retain_handling = options.retain_handling();
  const bool bad_options = view.qos > 2 || view.retain_handling > 2 ||
                           (view.filter.shared && view.no_local);  // [MQTT-3.8.3-4]
  if (reason == wire::ReasonCode::success && bad_options) {
    reason = wire::ReasonCode::protocol_error;
  }
  if (reason != wire::ReasonCode::success) {
    if (shard_.name_of(session).empty()) return false;
    this->answer(asked.query.query_id, reason);
    return true;
  }
  return static_cast<QueryKind>(asked.query.query) == QueryKind::subscribe
             ? shard_.subscribe_for(session, view, asked.query.query_id)
             : shard_.unsubscribe_for(session, asked.text, view.filter, asked.query.query_id);
}

void Worker::answer(std::uint64_t query_id, wire::ReasonCode code) noexcept {
  Answer answer;
  answer.code = static_cast<std::uint16_t>(code);
  reply(query_id, answer);
}

bool Worker::answer_subscriptions(const Asked& asked, const PageBounds& bounds,
                                  Answer& answer) noexcept {
  const bool of_one = !asked.client_id.empty();
  const char listing = of_one ? kClientsSubscriptionsCursor : kSubscriptionsCursor;
  SessionRef session;
  ThreadIndex thread = 0;
  SubscriptionPlace place;
  if (!asked.cursor.empty()) {
    CursorReader cursor(asked.cursor, listing);
    if (!of_one) {
      thread = cursor.u8();
      place.slot = cursor.u32();
    }
    place.key = cursor.u64();
    if (!cursor.ends() || thread >= outboxes_.size()) {
      answer.status = QueryStatus::bad_cursor;
      return true;
    }
  }
  if (of_one) {
    session = shard_.find_home(asked.client_id, asked.query.instance);
    thread = session.valid() ? session.thread : index_;
  }
  if (thread != index_) return pass_on(asked, thread);
  answer.rows.begin_array();
  bool found = true;
  if (of_one) {
    found = shard_.list_subscriptions_of(session, place, bounds, answer.rows);
  } else {
    shard_.list_subscriptions(place, bounds, answer.rows);
  }
  answer.rows.end_array();
  if (!found) {
    answer.status = QueryStatus::not_found;
  } else if (of_one) {
    if (place.slot != kListed) answer.cursor = CursorWriter(listing).u64(place.key).take();
  } else if (place.slot != kListed) {
    answer.cursor = CursorWriter(listing).u8(thread).u32(place.slot).u64(place.key).take();
  } else if (thread + 1U < outboxes_.size()) {
    answer.cursor =
        CursorWriter(listing).u8(static_cast<std::uint8_t>(thread + 1)).u32(0).u64(0).take();
  }
  return true;
}

/// Of this thread; TypeScript asks each of them.
void Worker::answer_routes(const Asked& asked, const PageBounds& bounds, Answer& answer) noexcept {
  RoutePlace place;
  if (!asked.cursor.empty()) {
    CursorReader cursor(asked.cursor, kRoutesCursor);
    place.part = cursor.u8() == 0 ? RoutePlace::Part::sessions : RoutePlace::Part::groups;
    place.first = cursor.u64();
    place.then = cursor.u32();
    if (!cursor.ends()) {
      answer.status = QueryStatus::bad_cursor;
      return;
    }
  }
  if (!wire::valid_topic_name(asked.text)) {
    answer.status = QueryStatus::not_found;
    return;
  }
  answer.rows.begin_array();
  shard_.list_routes(asked.text, place, bounds, answer.rows);
  answer.rows.end_array();
  if (place.part == RoutePlace::Part::end) return;
  answer.cursor = CursorWriter(kRoutesCursor)
                      .u8(place.part == RoutePlace::Part::sessions ? 0 : 1)
                      .u64(place.first)
                      .u32(place.then)
                      .take();
}

void Worker::answer_retained(const Asked& asked, const PageBounds& bounds,
                             Answer& answer) noexcept {
  wire::FilterView filter;
  if (!asked.text.empty() &&
      (wire::parse_topic_filter(asked.text, filter) != wire::ReasonCode::success ||
       filter.shared)) {
    answer.status = QueryStatus::not_found;
    return;
  }
  RetainedCursor place;
  if (!asked.cursor.empty()) {
    CursorReader cursor(asked.cursor, kRetainedCursor);
    place.next_topic.assign(as_text(cursor.rest()));
    if (!cursor.ends()) {
      answer.status = QueryStatus::bad_cursor;
      return;
    }
  }
  answer.rows.begin_array();
  shard_.list_retained(asked.text, place, bounds, answer.rows, answer.data);
  answer.rows.end_array();
  if (!place.done) answer.cursor = CursorWriter(kRetainedCursor).text(place.next_topic).take();
}

void Worker::answer_names(const Asked& asked, Answer& answer) noexcept {
  const std::string_view text = as_text(asked.text);
  answer.rows.begin_array();
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::uint32_t count = 0; at != end && count < kRowsPerTurn; ++count) {
    SessionRef ref;
    ref.thread = index_;
    at = std::from_chars(at, end, ref.slot).ptr;
    if (at != end) ++at;  // ':'
    at = std::from_chars(at, end, ref.generation).ptr;
    if (at != end) ++at;  // ','
    answer.rows.text(shard_.name_of(ref));
  }
  answer.rows.end_array();
}

bool Worker::pass_on(const Asked& asked, ThreadIndex to) noexcept {
  // Not its first thread: it counts as received once.
  forward(asked.record, to, 1);
  return false;
}

/// At most a page each, of as many queries as TypeScript has under way: no bound leaves it out.
void Worker::reply(std::uint64_t query_id, const Answer& answer) noexcept {
  contract::Reply event{};
  event.query_id = query_id;
  event.status = static_cast<std::uint16_t>(answer.status);
  event.code = answer.code;
  event.rows_bytes = static_cast<std::uint32_t>(answer.rows.size());
  event.cursor_bytes = static_cast<std::uint32_t>(answer.cursor.size());
  event.data_bytes = static_cast<std::uint32_t>(answer.data.size());
  event_now(contract::EventKind::reply, event.header, sizeof event,
            {answer.rows.bytes(), as_bytes(answer.cursor), as_bytes(answer.data)});
}

/// Follows the wall clock when that is set, and else stays what it was.
std::int64_t Worker::wall_offset_ms() noexcept {
  const std::int64_t offset = wall_ms() - static_cast<std::int64_t>(now_ms());
  const std::int64_t moved = offset - wall_offset_ms_;
  if (moved > kClockNoiseMs || moved < -kClockNoiseMs) wall_offset_ms_ = offset;
  return wall_offset_ms_;
}

}  // namespace stmqtt

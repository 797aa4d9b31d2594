// Worker: queries of TypeScript's, answered by whoever has what they ask about. A query that is not
// for this thread goes on to the one that it is for; a reply goes to TypeScript from here.
// Thread: its I/O thread.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "engine/worker.hpp"

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

/// Cursors are bytes: which listing, which thread, and where in it. They come back from outside.
class CursorReader {
 public:
  CursorReader(Bytes cursor, char listing) noexcept
      : rest_(cursor), good_(cursor.size() >= 2 && cursor[0] == listing) {
    if (good_) rest_ = cursor.subspan(1);
  }
  [[nodiscard]] std::uint8_t u8() noexcept {
    if (rest_.empty()) return fail();
    const std::uint8_t value = rest_[0];
    rest_ = rest_.subspan(1);
    return value;
  }
  [[nodiscard]] std::uint32_t u32() noexcept {
    if (rest_.size() < 4) return fail();
    const std::uint32_t value = load_u32(rest_.data());
    rest_ = rest_.subspan(4);
    return value;
  }
  /// All of it was as expected.
  [[nodiscard]] bool ends() const noexcept { return good_ && rest_.empty(); }

 private:
  std::uint8_t fail() noexcept {
    good_ = false;
    return 0;
  }
  Bytes rest_;
  bool good_;
};

class CursorWriter {
 public:
  explicit CursorWriter(char listing) { bytes_ += listing; }
  CursorWriter& u8(std::uint8_t value) {
    bytes_ += static_cast<char>(value);
    return *this;
  }
  CursorWriter& u32(std::uint32_t value) {
    std::uint8_t text[4];
    store_u32(text, value);
    bytes_ += as_text(text);
    return *this;
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

constexpr char kClientsCursor = 'c';

}  // namespace

/// A query taken apart; views into the record.
struct Worker::Asked {
  explicit Asked(const std::uint8_t* at) noexcept {
    std::memcpy(&query, at, sizeof query);
    record = {at, query.header.record_bytes};
    at += sizeof query;
    client_id = {at, query.client_id_bytes};
    text = {at + query.client_id_bytes, query.text_bytes};
    cursor = {text.data() + text.size(), query.cursor_bytes};
  }
  contract::Query query;
  Bytes record;
  Bytes client_id;
  Bytes text;
  Bytes cursor;
};

/// What becomes its reply.
struct Worker::Answer {
  QueryStatus status = QueryStatus::done;
  std::uint16_t code = 0;
  JsonWriter rows;
  std::string cursor;
  std::string data;
};

void Worker::take_query(const std::uint8_t* record) noexcept {
  const Asked asked(record);
  PageBounds bounds;
  bounds.rows = std::clamp<std::uint32_t>(asked.query.limit, 1, kRowsPerTurn);
  bounds.wall_offset_ms = wall_offset_ms();
  Answer answer;
  bool here = true;
  switch (static_cast<QueryKind>(asked.query.query)) {
    case QueryKind::clients:
      here = answer_clients(asked, bounds, answer);
      break;
    case QueryKind::client:
    case QueryKind::kick:
      here = answer_about_session(asked, bounds, answer);
      break;
  }
  if (here) reply(asked.query.query_id, answer);
}

/// All of these say false where the query went on to another thread.
bool Worker::answer_clients(const Asked& asked, const PageBounds& bounds, Answer& answer) noexcept {
  ThreadIndex thread = 0;
  std::uint32_t slot = 0;
  if (!asked.cursor.empty()) {
    CursorReader cursor(asked.cursor, kClientsCursor);
    thread = cursor.u8();
    slot = cursor.u32();
    if (!cursor.ends() || thread >= outboxes_.size()) {
      answer.status = QueryStatus::bad_cursor;
      return true;
    }
  }
  if (thread != index_) return pass_on(asked, thread);
  answer.rows.begin_array();
  slot = shard_.list_sessions(slot, bounds, answer.rows);
  answer.rows.end_array();
  if (slot != kListed) {
    answer.cursor = CursorWriter(kClientsCursor).u8(thread).u32(slot).take();
  } else if (thread + 1U < outboxes_.size()) {
    answer.cursor =
        CursorWriter(kClientsCursor).u8(static_cast<std::uint8_t>(thread + 1)).u32(0).take();
  }
  return true;
}

bool Worker::answer_about_session(const Asked& asked, const PageBounds& bounds,
                                  Answer& answer) noexcept {
  const SessionRef session = shard_.find_home(asked.client_id);
  // Between two looks it may have ended and begun elsewhere: then the query follows it.
  if (session.valid() && session.thread != index_) return pass_on(asked, session.thread);
  bool found = false;
  switch (static_cast<QueryKind>(asked.query.query)) {
    case QueryKind::client:
      found = shard_.describe_session(session, bounds, answer.rows);
      break;
    case QueryKind::kick:
      found = shard_.kick(session, static_cast<wire::ReasonCode>(asked.query.reason_code),
                          asked.text);
      break;
    case QueryKind::clients:
      break;
  }
  if (!found) answer.status = QueryStatus::not_found;
  return true;
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

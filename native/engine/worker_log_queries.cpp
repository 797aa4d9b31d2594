// Worker: queries about logs of messages that nobody has subscribed to.
// Thread: its I/O thread.
#include "engine/worker.hpp"
#include "engine/worker_query.hpp"

namespace stmqtt {

using contract::QueryStatus;

namespace {

/// Query::options of QueryKind::log.
constexpr std::uint8_t kDeleteLog = 1;
constexpr char kLogsCursor = 'l';

}  // namespace

bool Worker::answer_logs(const Asked& asked, const PageBounds& bounds, Answer& answer) noexcept {
  ThreadIndex thread = 0;
  std::uint32_t slot = 0;
  if (!asked.cursor.empty()) {
    CursorReader cursor(asked.cursor, kLogsCursor);
    thread = cursor.u8();
    slot = cursor.u32();
    if (!cursor.ends() || thread >= outboxes_.size()) {
      answer.status = QueryStatus::bad_cursor;
      return true;
    }
  }
  if (thread != index_) return pass_on(asked, thread);
  answer.rows.begin_array();
  slot = shard_.logs().list(slot, bounds, answer.rows);
  answer.rows.end_array();
  if (slot != kListed) {
    answer.cursor = CursorWriter(kLogsCursor).u8(thread).u32(slot).take();
  } else if (thread + 1U < outboxes_.size()) {
    answer.cursor =
        CursorWriter(kLogsCursor).u8(static_cast<std::uint8_t>(thread + 1)).u32(0).take();
  }
  return true;
}

bool Worker::answer_log(const Asked& asked, const PageBounds& bounds, Answer& answer) noexcept {
  const ThreadIndex home = shard_.logs().home_of(asked.text);
  if (home != index_) return pass_on(asked, home);
  const bool found = asked.query.options == kDeleteLog
                         ? shard_.logs().erase(asked.text)
                         : shard_.logs().describe(asked.text, bounds, answer.rows);
  if (!found) answer.status = QueryStatus::not_found;
  return true;
}

}  // namespace stmqtt

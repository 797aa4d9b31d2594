// Worker: queries about one log of messages that nobody has subscribed to.
// Thread: its I/O thread.
#include "engine/worker.hpp"
#include "engine/worker_query.hpp"

namespace stmqtt {

using contract::QueryStatus;

namespace {

/// Query::options of QueryKind::log.
constexpr std::uint8_t kDeleteLog = 1;

}  // namespace

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

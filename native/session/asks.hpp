// Whether a promise has to wait for the store: asked at each gate, in one place, so that
// `npm run test:mutants` can leave each of them out and see a test fail.
// Thread: the I/O thread that owns the gate.
#pragma once

#include "session/gate.hpp"

namespace stmqtt {

/// The gate that a mutant build leaves out.
[[nodiscard]] constexpr bool left_out([[maybe_unused]] CommitKind kind) noexcept {
#if defined(STMQTT_MUTANT_NO_GATE_SESSION_BEGIN)
  return kind == CommitKind::session_begin;
#elif defined(STMQTT_MUTANT_NO_GATE_SUBSCRIBE)
  return kind == CommitKind::subscribe;
#elif defined(STMQTT_MUTANT_NO_GATE_UNSUBSCRIBE)
  return kind == CommitKind::unsubscribe;
#elif defined(STMQTT_MUTANT_NO_GATE_PUBLISH)
  return kind == CommitKind::publish;
#elif defined(STMQTT_MUTANT_NO_GATE_RETAINED)
  return kind == CommitKind::retained;
#elif defined(STMQTT_MUTANT_NO_GATE_INBOUND_ID)
  return kind == CommitKind::inbound_id;
#elif defined(STMQTT_MUTANT_NO_GATE_INBOUND_RELEASE)
  return kind == CommitKind::inbound_release;
#elif defined(STMQTT_MUTANT_NO_GATE_OUTBOUND_ID)
  return kind == CommitKind::outbound_id;
#elif defined(STMQTT_MUTANT_NO_GATE_OUTBOUND_PUBREC)
  return kind == CommitKind::outbound_pubrec;
#else
  return false;
#endif
}

/// True where a promise of this kind waits for a ticket.
[[nodiscard]] inline bool asks_store(const Gate& gate, CommitKind kind) noexcept {
  return !gate.grants_at_once() && !left_out(kind);
}

}  // namespace stmqtt

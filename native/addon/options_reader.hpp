// Plain JavaScript objects into the engine's options. TypeScript has validated and defaulted them;
// what does not fit all the same throws an Error with code ST_NATIVE_OPTION.
// Thread: JavaScript's.
#pragma once

#include <napi.h>

#include "engine/options.hpp"
#include "route/rules.hpp"
#include "session/ban_table.hpp"
#include "session/trace.hpp"

namespace stmqtt {

/// False: a JavaScript exception is pending.
[[nodiscard]] bool read_engine_options(Napi::Env env, const Napi::Object& from, EngineOptions& to,
                                       Limits& link_limits);
/// Changes what is given, and leaves the rest.
[[nodiscard]] bool read_changed_options(Napi::Env env, const Napi::Object& from, LiveOptions& to);
[[nodiscard]] bool read_changed_limits(Napi::Env env, const Napi::Object& from, Limits& to,
                                       std::uint32_t& max_connections);
[[nodiscard]] bool read_rule_options(Napi::Env env, const Napi::Object& from, RuleOptions& to);
[[nodiscard]] [[nodiscard]] bool read_admission(const Napi::Value& from, Admission& to);
bool read_ban_kind(Napi::Env env, const Napi::Object& from, BanKind& to);
[[nodiscard]] bool read_ban(Napi::Env env, const Napi::Object& from, std::uint64_t now_ms, Ban& to);
[[nodiscard]] bool read_trace_spec(Napi::Env env, const Napi::Object& from, TraceSpec& to);
[[nodiscard]] bool read_channel_settings(Napi::Env env, const Napi::Object& from,
                                         ChannelSettings& to);
[[nodiscard]] bool read_listen_spec(Napi::Env env, const Napi::Object& from, EngineListenSpec& to);

}  // namespace stmqtt

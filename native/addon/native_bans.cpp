// NativeBroker: bans, from and to JavaScript.
#include <algorithm>
#include <string>

#include "addon/native_broker.hpp"
#include "addon/options_reader.hpp"
#include "base/clock.hpp"

namespace stmqtt {
namespace {

constexpr std::uint32_t kMaxRows = 1000;

const char* name_of(BanKind kind) {
  switch (kind) {
    case BanKind::client:
      return "client";
    case BanKind::user:
      return "user";
    case BanKind::address:
      return "address";
  }
  return "";
}

const char* name_of(BanSource source) {
  switch (source) {
    case BanSource::admin:
      return "admin";
    case BanSource::flapping:
      return "flapping";
  }
  return "";
}

void refuse_value(Napi::Env env, const char* text) {
  Napi::Error error = Napi::RangeError::New(env, text);
  error.Set("code", Napi::String::New(env, "ST_NATIVE_BAN"));
  error.ThrowAsJavaScriptException();
}

}  // namespace

void NativeBroker::ban(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (engine_ == nullptr) return;
  Ban ban;
  if (info.Length() < 1 || !info[0].IsObject()) {
    Napi::TypeError::New(env, "ban({ kind, value, seconds, reason })")
        .ThrowAsJavaScriptException();
    return;
  }
  if (!read_ban(env, info[0].As<Napi::Object>(), now_ms(), ban)) return;
  switch (engine_->ban(std::move(ban))) {
    case BanTable::Added::added:
    case BanTable::Added::replaced:
      return;
    case BanTable::Added::full:
      return refuse_value(env, "ban: there are 65536 already");
    case BanTable::Added::no_network:
      return refuse_value(env, "ban: value is not an IP address, nor a network");
  }
}

Napi::Value NativeBroker::unban(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  BanKind kind{};
  if (info.Length() < 1 || !info[0].IsObject() ||
      !info[0].As<Napi::Object>().Get("value").IsString()) {
    Napi::TypeError::New(env, "unban({ kind, value })").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const Napi::Object given = info[0].As<Napi::Object>();
  if (!read_ban_kind(env, given, kind)) return env.Undefined();
  const std::string value = given.Get("value").As<Napi::String>().Utf8Value();
  return Napi::Boolean::New(env, engine_ != nullptr && engine_->unban(kind, value));
}

Napi::Value NativeBroker::bans(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 2 || !info[0].IsString() || !info[1].IsNumber()) {
    Napi::TypeError::New(env, "bans(cursor: string, limit: number)").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  std::string cursor = info[0].As<Napi::String>().Utf8Value();
  const std::uint32_t limit = std::min(info[1].As<Napi::Number>().Uint32Value(), kMaxRows);
  std::vector<Ban> page;
  const std::uint64_t now = now_ms();
  if (engine_ != nullptr) page = engine_->bans().list(cursor, limit, now);
  Napi::Array rows = Napi::Array::New(env, page.size());
  for (std::uint32_t at = 0; at < page.size(); ++at) {
    const Ban& ban = page[at];
    Napi::Object row = Napi::Object::New(env);
    row.Set("kind", Napi::String::New(env, name_of(ban.kind)));
    row.Set("value", Napi::String::New(env, ban.value));
    row.Set("reason", Napi::String::New(env, ban.reason));
    row.Set("source", Napi::String::New(env, name_of(ban.source)));
    row.Set("expires_s", ban.expires_ms == Ban::kNever
                             ? env.Null()
                             : Napi::Number::New(
                                   env, static_cast<double>((ban.expires_ms - now + 999) / 1000)));
    rows.Set(at, row);
  }
  Napi::Object reply = Napi::Object::New(env);
  reply.Set("rows", rows);
  reply.Set("cursor", Napi::String::New(env, engine_ == nullptr ? "" : cursor));
  return reply;
}

}  // namespace stmqtt

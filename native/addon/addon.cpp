// The addon's entry: what require('st_mqttd.node') returns. Everything kept lives in the
// environment's data, so that it loads into any number of worker threads.
// Thread: the JavaScript thread that loads it.
#include <napi.h>

#include "addon/contract_layout.hpp"
#include "addon/native_broker.hpp"
#include "addon/tls_reader.hpp"
#include "io/notify.hpp"

namespace {

struct AddonData {
  Napi::FunctionReference broker_class;
};

Napi::Value version(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), STMQTT_VERSION);
}

Napi::Value contract_layout(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), stmqtt::contract_layout_json());
}

Napi::Value create_broker(const Napi::CallbackInfo& info) {
  auto* data = info.Env().GetInstanceData<AddonData>();
  return data->broker_class.New({info[0], info[1]});
}

/// notify(socket, text): errno, or 0.
Napi::Value notify(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 2 || !info[0].IsString() || !info[1].IsString()) {
    Napi::TypeError::New(env, "notify(socket: string, text: string)").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const std::string socket = info[0].As<Napi::String>();
  const std::string text = info[1].As<Napi::String>();
  return Napi::Number::New(env, stmqtt::notify_supervisor(socket, text).code);
}

/// tlsAvailable(): null, or why not.
Napi::Value tls_available(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (stmqtt::openssl::functions() != nullptr) return env.Null();
  return Napi::String::New(env, std::string("neither this runtime nor the system has OpenSSL 3: no ") +
                                    stmqtt::openssl::missing_function());
}

/// tlsFallback(force?): null, or {version, missing} where the system's OpenSSL stands in.
Napi::Value tls_fallback(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() > 0 && info[0].ToBoolean() && !stmqtt::openssl::want_system()) {
    return env.Null();
  }
  const char* const version = stmqtt::openssl::system_version();
  if (version == nullptr) return env.Null();
  Napi::Object fallback = Napi::Object::New(env);
  fallback.Set("version", version);
  fallback.Set("missing", stmqtt::openssl::missing_function());
  return fallback;
}

/// tlsCheck(options): throws as tlsContext() does, and keeps nothing.
void tls_check(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsObject()) {
    Napi::TypeError::New(env, "tlsCheck(options: object)").ThrowAsJavaScriptException();
    return;
  }
  stmqtt::TlsOptions options;
  if (!stmqtt::read_tls_options(env, info[0].As<Napi::Object>(), options)) return;
  stmqtt::TlsFailure failure;
  stmqtt::TlsContext* context = stmqtt::TlsContext::make(options, failure);
  if (context == nullptr) return stmqtt::throw_tls_failure(env, failure);
  context->release();
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData;
  data->broker_class = Napi::Persistent(stmqtt::NativeBroker::define(env));
  env.SetInstanceData(data);
  exports.Set("version", Napi::Function::New(env, version, "version"));
  exports.Set("contractLayout", Napi::Function::New(env, contract_layout, "contractLayout"));
  exports.Set("createBroker", Napi::Function::New(env, create_broker, "createBroker"));
  exports.Set("notify", Napi::Function::New(env, notify, "notify"));
  exports.Set("tlsAvailable", Napi::Function::New(env, tls_available, "tlsAvailable"));
  exports.Set("tlsFallback", Napi::Function::New(env, tls_fallback, "tlsFallback"));
  exports.Set("tlsCheck", Napi::Function::New(env, tls_check, "tlsCheck"));
  return exports;
}

}  // namespace

NODE_API_MODULE(st_mqttd, init)

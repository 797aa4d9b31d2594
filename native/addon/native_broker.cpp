#include "addon/native_broker.hpp"

#include <cstring>

#include "addon/error_names.hpp"
#include "addon/options_reader.hpp"
#include "addon/tls_reader.hpp"

namespace stmqtt {
namespace {

void throw_system_error(Napi::Env env, const SystemError& error) {
  // errno's name as Node tells it: libuv's names are not at hand through N-API.
  const char* name = error_name(error.code);
  Napi::Error js = Napi::Error::New(env, std::string(error.call) + ": " + std::strerror(error.code));
  js.Set("code", Napi::String::New(env, name));
  js.Set("errno", Napi::Number::New(env, -error.code));
  js.Set("syscall", Napi::String::New(env, error.call));
  js.ThrowAsJavaScriptException();
}

/// A view of another width would be read and written beyond its end.
bool is_array_of(const Napi::Value& value, napi_typedarray_type type) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type;
}

}  // namespace

Napi::Function NativeBroker::define(Napi::Env env) {
  return DefineClass(env, "NativeBroker",
                     {InstanceMethod<&NativeBroker::start>("start"),
                      InstanceMethod<&NativeBroker::listen>("listen"),
                      InstanceMethod<&NativeBroker::unlisten>("unlisten"),
                      InstanceMethod<&NativeBroker::set_limits>("setLimits"),
                      InstanceMethod<&NativeBroker::configure>("configure"),
                      InstanceMethod<&NativeBroker::set_rules>("setRules"),
                      InstanceMethod<&NativeBroker::set_hooks>("setHooks"),
                      InstanceMethod<&NativeBroker::drain_events>("drainEvents"),
                      InstanceMethod<&NativeBroker::submit>("submit"),
                      InstanceMethod<&NativeBroker::counters>("counters"),
                      InstanceMethod<&NativeBroker::thread_counters>("threadCounters"),
                      InstanceMethod<&NativeBroker::io_threads>("ioThreads"),
                      InstanceMethod<&NativeBroker::latency>("latency"),
                      InstanceMethod<&NativeBroker::ban>("ban"),
                      InstanceMethod<&NativeBroker::unban>("unban"),
                      InstanceMethod<&NativeBroker::bans>("bans"),
                      InstanceMethod<&NativeBroker::trace>("trace"),
                      InstanceMethod<&NativeBroker::untrace>("untrace"),
                      InstanceMethod<&NativeBroker::listener_connections>("listenerConnections"),
                      InstanceMethod<&NativeBroker::reaches>("reaches"),
                      InstanceMethod<&NativeBroker::table_counts>("tableCounts"),
                      InstanceMethod<&NativeBroker::tls_context>("tlsContext"),
                      InstanceMethod<&NativeBroker::set_tls>("setTls"),
                      InstanceMethod<&NativeBroker::set_handshake_timeout>("setHandshakeTimeout"),
                      InstanceMethod<&NativeBroker::set_channels>("setChannels"),
                      InstanceMethod<&NativeBroker::set_admission>("setAdmission"),
                      InstanceMethod<&NativeBroker::release_tls>("releaseTls"),
                      InstanceMethod<&NativeBroker::take_outside>("takeOutside"),
                      InstanceMethod<&NativeBroker::stop>("stop")});
}

NativeBroker::NativeBroker(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NativeBroker>(info), env_(info.Env()) {
  const Napi::Env env = info.Env();
  if (info.Length() < 2 || !info[0].IsObject() || !info[1].IsFunction()) {
    Napi::TypeError::New(env, "createBroker(options, wake) wants an object and a function")
        .ThrowAsJavaScriptException();
    return;
  }
  EngineOptions options;
  Limits link_limits;
  if (!read_engine_options(env, info[0].As<Napi::Object>(), options, link_limits)) return;
  const Napi::String name = Napi::String::New(env, "st-mqttd events");
  if (napi_create_threadsafe_function(env, info[1], nullptr, name, 0, 1, nullptr, nullptr, nullptr,
                                      call_javascript, &wake_) != napi_ok) {
    Napi::Error::New(env, "cannot create the thread-safe function").ThrowAsJavaScriptException();
    return;
  }
  engine_ = std::make_unique<Engine>(
      std::move(options), link_limits,
      JavascriptWake{[](void* wake) {
                       napi_call_threadsafe_function(static_cast<napi_threadsafe_function>(wake),
                                                     nullptr, napi_tsfn_nonblocking);
                     },
                     wake_});
  if (const SystemError error = engine_->open()) {
    engine_.reset();
    napi_release_threadsafe_function(wake_, napi_tsfn_abort);
    throw_system_error(env, error);
    return;
  }
  // Hooks run last to first: ours before the thread-safe function's own, so that the threads are
  // gone before what they call.
  napi_add_env_cleanup_hook(env, on_environment_end, this);
}

NativeBroker::~NativeBroker() { shut_down(); }

void NativeBroker::on_environment_end(void* self) noexcept {
  static_cast<NativeBroker*>(self)->shut_down();
}

void NativeBroker::shut_down() noexcept {
  if (engine_ == nullptr) return;
  engine_.reset();
  napi_remove_env_cleanup_hook(env_, on_environment_end, this);
  napi_release_threadsafe_function(wake_, napi_tsfn_abort);
  wake_ = nullptr;
}

void NativeBroker::call_javascript(napi_env env, napi_value callback, void*, void*) noexcept {
  if (env == nullptr || callback == nullptr) return;  // the environment is ending
  napi_value receiver = nullptr;
  if (napi_get_undefined(env, &receiver) != napi_ok) return;
  if (napi_call_function(env, receiver, callback, 0, nullptr, nullptr) != napi_pending_exception) {
    return;
  }
  // It must not vanish: it becomes the process's uncaught exception.
  napi_value error = nullptr;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

void NativeBroker::start(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return;
  if (const SystemError error = engine_->start()) throw_system_error(info.Env(), error);
}

Napi::Value NativeBroker::listen(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  EngineListenSpec spec;
  if (engine_ == nullptr || info.Length() < 1 || !info[0].IsObject()) {
    Napi::Error::New(env, "listen(spec) on a running broker").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  if (!read_listen_spec(env, info[0].As<Napi::Object>(), spec)) return env.Undefined();
  const ListenResult result = engine_->listen(spec);
  if (result.error) {
    throw_system_error(env, result.error);
    return env.Undefined();
  }
  Napi::Object bound = Napi::Object::New(env);
  bound.Set("id", Napi::Number::New(env, result.id));
  bound.Set("address", Napi::String::New(env, result.address));
  bound.Set("port", Napi::Number::New(env, result.port));
  return bound;
}

void NativeBroker::unlisten(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr || info.Length() < 1 || !info[0].IsNumber()) return;
  engine_->unlisten(info[0].As<Napi::Number>().Uint32Value());
}

void NativeBroker::set_limits(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (engine_ == nullptr) return;
  if (info.Length() < 2 || !info[0].IsNumber() || !info[1].IsObject()) {
    Napi::TypeError::New(env, "setLimits(listenerId: number, limits: object, protocolLevels?)")
        .ThrowAsJavaScriptException();
    return;
  }
  const ListenerId id = info[0].As<Napi::Number>().Uint32Value();
  const Limits* before = engine_->limits_of(id);
  Limits limits = before == nullptr ? Limits{} : *before;
  std::uint32_t max_connections = 0;
  if (!read_changed_limits(env, info[1].As<Napi::Object>(), limits, max_connections)) return;
  if (info.Length() > 2 && info[2].IsNumber()) {
    limits.protocol_levels = static_cast<std::uint8_t>(info[2].As<Napi::Number>().Uint32Value());
  }
  if (!engine_->set_limits(id, limits, max_connections)) {
    Napi::RangeError::New(env, "setLimits: there is no such listener").ThrowAsJavaScriptException();
  }
}

void NativeBroker::configure(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (engine_ == nullptr) return;
  if (info.Length() < 1 || !info[0].IsObject()) {
    Napi::TypeError::New(env, "configure(options: object)").ThrowAsJavaScriptException();
    return;
  }
  LiveOptions live = engine_->live();
  if (read_changed_options(env, info[0].As<Napi::Object>(), live)) engine_->configure(live);
}

void NativeBroker::set_rules(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (engine_ == nullptr) return;
  if (info.Length() < 2 || !is_array_of(info[0], napi_uint8_array) || !info[1].IsObject()) {
    Napi::TypeError::New(env, "setRules(rules: Uint8Array, options: object)")
        .ThrowAsJavaScriptException();
    return;
  }
  RuleOptions options;
  if (!read_rule_options(env, info[1].As<Napi::Object>(), options)) return;
  const auto form = info[0].As<Napi::Uint8Array>();
  RuleError wrong;
  auto rules = RuleSet::read({form.Data(), form.ByteLength()}, options, wrong);
  if (rules == nullptr) {
    Napi::Error error = Napi::RangeError::New(
        env, "rule " + std::to_string(wrong.rule + 1) + ": " + wrong.text);
    error.Set("code", Napi::String::New(env, "ST_NATIVE_RULE"));
    error.Set("rule", Napi::Number::New(env, wrong.rule));
    error.ThrowAsJavaScriptException();
    return;
  }
  engine_->set_rules(std::move(rules));
}

void NativeBroker::set_hooks(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (engine_ == nullptr) return;
  if (info.Length() < 1 || !is_array_of(info[0], napi_uint8_array)) {
    Napi::TypeError::New(env, "setHooks(hooks: Uint8Array)").ThrowAsJavaScriptException();
    return;
  }
  const auto form = info[0].As<Napi::Uint8Array>();
  auto hooks = HookSet::read({form.Data(), form.ByteLength()});
  if (hooks == nullptr) {
    Napi::RangeError::New(env, "setHooks: not a set of hooks").ThrowAsJavaScriptException();
    return;
  }
  engine_->set_hooks(std::move(hooks));
}

Napi::Value NativeBroker::drain_events(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 1 || !is_array_of(info[0], napi_uint8_array)) {
    Napi::TypeError::New(env, "drainEvents(into: Uint8Array)").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  auto into = info[0].As<Napi::Uint8Array>();
  const std::int64_t moved = engine_ != nullptr
                                 ? engine_->drain_events(into.Data(), into.ByteLength())
                                 : last_events_.read(into.Data(), into.ByteLength());
  return Napi::Number::New(env, static_cast<double>(moved));
}

void NativeBroker::submit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (engine_ == nullptr) return;
  if (info.Length() < 2 || !is_array_of(info[0], napi_uint8_array) || !info[1].IsNumber()) {
    Napi::TypeError::New(env, "submit(commands: Uint8Array, byteLength: number)")
        .ThrowAsJavaScriptException();
    return;
  }
  const auto commands = info[0].As<Napi::Uint8Array>();
  const std::size_t bytes = info[1].As<Napi::Number>().Uint32Value();
  if (bytes > commands.ByteLength() || !engine_->submit({commands.Data(), bytes})) {
    Napi::RangeError::New(env, "submit: a command record's lengths do not fit")
        .ThrowAsJavaScriptException();
  }
}

void NativeBroker::counters(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return;
  if (info.Length() < 1 || !is_array_of(info[0], napi_bigint64_array)) {
    Napi::TypeError::New(info.Env(), "counters(into: BigInt64Array)").ThrowAsJavaScriptException();
    return;
  }
  auto into = info[0].As<Napi::BigInt64Array>();
  engine_->counters({into.Data(), into.ElementLength()});
}

void NativeBroker::thread_counters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (engine_ == nullptr) return;
  if (info.Length() < 2 || !info[0].IsNumber() || !is_array_of(info[1], napi_bigint64_array)) {
    Napi::TypeError::New(env, "threadCounters(index: number, into: BigInt64Array)")
        .ThrowAsJavaScriptException();
    return;
  }
  auto into = info[1].As<Napi::BigInt64Array>();
  if (!engine_->thread_counters(info[0].As<Napi::Number>().Uint32Value(),
                                {into.Data(), into.ElementLength()})) {
    Napi::RangeError::New(env, "threadCounters: there is no such I/O thread")
        .ThrowAsJavaScriptException();
  }
}

Napi::Value NativeBroker::io_threads(const Napi::CallbackInfo& info) {
  const std::size_t threads = engine_ == nullptr ? 0 : engine_->io_threads();
  return Napi::Number::New(info.Env(), static_cast<double>(threads));
}

Napi::Value NativeBroker::listener_connections(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  double connections = 0;
  if (engine_ != nullptr && info.Length() > 0 && info[0].IsNumber()) {
    const auto* entry = engine_->listener(info[0].As<Napi::Number>().Uint32Value());
    if (entry != nullptr) connections = entry->connections.load(std::memory_order_relaxed);
  }
  return Napi::Number::New(env, connections);
}

void NativeBroker::table_counts(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return;
  if (info.Length() < 1 || !is_array_of(info[0], napi_bigint64_array)) {
    Napi::TypeError::New(info.Env(), "tableCounts(into: BigInt64Array)")
        .ThrowAsJavaScriptException();
    return;
  }
  auto into = info[0].As<Napi::BigInt64Array>();
  engine_->table_counts({into.Data(), into.ElementLength()});
}

Napi::Value NativeBroker::reaches(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsString()) {
    Napi::TypeError::New(info.Env(), "reaches(levels: string)").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  const std::string levels = info[0].As<Napi::String>().Utf8Value();
  return Napi::Boolean::New(info.Env(), engine_ != nullptr && engine_->reaches(as_bytes(levels)));
}

void NativeBroker::latency(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return;
  if (info.Length() < 1 || !is_array_of(info[0], napi_bigint64_array)) {
    Napi::TypeError::New(info.Env(), "latency(into: BigInt64Array)").ThrowAsJavaScriptException();
    return;
  }
  auto into = info[0].As<Napi::BigInt64Array>();
  engine_->latency({into.Data(), into.ElementLength()});
}

void NativeBroker::trace(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  TraceSpec spec;
  if (engine_ == nullptr || info.Length() < 1 || !info[0].IsObject()) {
    Napi::Error::New(env, "trace(spec) on a running broker").ThrowAsJavaScriptException();
    return;
  }
  if (!read_trace_spec(env, info[0].As<Napi::Object>(), spec)) return;
  if (!engine_->trace(spec)) {
    Napi::RangeError::New(env, "trace: there are 8 already, or one of this number")
        .ThrowAsJavaScriptException();
  }
}

void NativeBroker::untrace(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr || info.Length() < 1 || !info[0].IsNumber()) return;
  engine_->untrace(info[0].As<Napi::Number>().Uint32Value());
}

Napi::Value NativeBroker::tls_context(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (engine_ == nullptr || info.Length() < 1 || !info[0].IsObject()) {
    Napi::Error::New(env, "tlsContext(options) on a running broker").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  TlsOptions options;
  if (!read_tls_options(env, info[0].As<Napi::Object>(), options)) return env.Undefined();
  TlsFailure failure;
  const std::uint32_t id = engine_->make_tls(options, failure);
  if (id == 0) throw_tls_failure(env, failure);
  return Napi::Number::New(env, id);
}

void NativeBroker::set_tls(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return;
  if (info.Length() < 2 || !info[0].IsNumber() || !info[1].IsNumber() ||
      !engine_->set_tls(info[0].As<Napi::Number>().Uint32Value(),
                        info[1].As<Napi::Number>().Uint32Value())) {
    Napi::RangeError::New(info.Env(), "setTls: there is no such context, or no such TLS listener")
        .ThrowAsJavaScriptException();
  }
}

void NativeBroker::set_handshake_timeout(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return;
  if (info.Length() < 2 || !info[0].IsNumber() || !info[1].IsNumber() ||
      !engine_->set_handshake_timeout(info[0].As<Napi::Number>().Uint32Value(),
                                      info[1].As<Napi::Number>().Uint32Value())) {
    Napi::RangeError::New(info.Env(), "setHandshakeTimeout: there is no such listener")
        .ThrowAsJavaScriptException();
  }
}

void NativeBroker::set_admission(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return;
  Admission admission = Admission::judged;
  if (info.Length() < 2 || !info[0].IsNumber() || !read_admission(info[1], admission)) {
    Napi::TypeError::New(info.Env(), "setAdmission(listenerId, admission) wants a number and "
                                     "'judged', 'open' or 'open_no_device'")
        .ThrowAsJavaScriptException();
  } else if (!engine_->set_admission(info[0].As<Napi::Number>().Uint32Value(), admission)) {
    Napi::RangeError::New(info.Env(), "setAdmission: there is no such listener")
        .ThrowAsJavaScriptException();
  }
}

void NativeBroker::set_channels(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return;
  ChannelSettings channels;
  if (info.Length() < 2 || !info[0].IsNumber() || !info[1].IsObject()) {
    Napi::TypeError::New(info.Env(), "setChannels(listenerId, spec) wants a number and an object")
        .ThrowAsJavaScriptException();
  } else if (read_channel_settings(info.Env(), info[1].As<Napi::Object>(), channels) &&
             !engine_->set_channels(info[0].As<Napi::Number>().Uint32Value(), channels)) {
    Napi::RangeError::New(info.Env(),
                          "setChannels: there is no such listener, or it is one of WebSocket and "
                          "this is not, or the other way round")
        .ThrowAsJavaScriptException();
  }
}

void NativeBroker::release_tls(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr || info.Length() < 1 || !info[0].IsNumber()) return;
  engine_->release_tls(info[0].As<Napi::Number>().Uint32Value());
}

Napi::Value NativeBroker::take_outside(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array numbers = Napi::Array::New(env);
  if (engine_ == nullptr) return numbers;
  std::uint32_t at = 0;
  for (OutsideSocket& outside : engine_->take_outside()) {
    numbers.Set(at++, Napi::Number::New(env, outside.listener));
    numbers.Set(at++, Napi::Number::New(env, std::exchange(outside.socket, -1)));
    numbers.Set(at++, Napi::Number::New(env, std::exchange(outside.stream, -1)));
    numbers.Set(at++, Napi::Number::New(env, outside.proxy_first ? 1 : 0));
  }
  return numbers;
}

void NativeBroker::stop(const Napi::CallbackInfo&) {
  if (engine_ == nullptr) return;
  engine_->stop();
  engine_->take_events(last_events_);
  shut_down();
}

}  // namespace stmqtt

// The object that createBroker() returns: an Engine behind JavaScript methods. It stops its threads
// when the environment ends, whether or not stop() was called: at process exit, and when a worker
// thread is terminated while traffic flows.
// Thread: JavaScript's; wake() comes from I/O threads through a thread-safe function.
#pragma once

#include <napi.h>

#include <memory>

#include "engine/engine.hpp"

namespace stmqtt {

class NativeBroker final : public Napi::ObjectWrap<NativeBroker> {
 public:
  /// Makes the class; its constructor belongs to the environment's data.
  [[nodiscard]] static Napi::Function define(Napi::Env env);

  explicit NativeBroker(const Napi::CallbackInfo& info);
  ~NativeBroker() override;

 private:
  void start(const Napi::CallbackInfo& info);
  Napi::Value listen(const Napi::CallbackInfo& info);
  void unlisten(const Napi::CallbackInfo& info);
  void set_limits(const Napi::CallbackInfo& info);
  void configure(const Napi::CallbackInfo& info);
  void set_rules(const Napi::CallbackInfo& info);
  void set_hooks(const Napi::CallbackInfo& info);
  Napi::Value drain_events(const Napi::CallbackInfo& info);
  void submit(const Napi::CallbackInfo& info);
  void counters(const Napi::CallbackInfo& info);
  void thread_counters(const Napi::CallbackInfo& info);
  Napi::Value reaches(const Napi::CallbackInfo& info);
  void table_counts(const Napi::CallbackInfo& info);
  Napi::Value io_threads(const Napi::CallbackInfo& info);
  void latency(const Napi::CallbackInfo& info);
  void ban(const Napi::CallbackInfo& info);
  Napi::Value unban(const Napi::CallbackInfo& info);
  Napi::Value bans(const Napi::CallbackInfo& info);
  void trace(const Napi::CallbackInfo& info);
  void untrace(const Napi::CallbackInfo& info);
  Napi::Value listener_connections(const Napi::CallbackInfo& info);
  Napi::Value tls_context(const Napi::CallbackInfo& info);
  void set_channels(const Napi::CallbackInfo& info);
  void set_admission(const Napi::CallbackInfo& info);
  void set_tls(const Napi::CallbackInfo& info);
  void set_handshake_timeout(const Napi::CallbackInfo& info);
  void release_tls(const Napi::CallbackInfo& info);
  Napi::Value take_outside(const Napi::CallbackInfo& info);
  void stop(const Napi::CallbackInfo& info);

  void shut_down() noexcept;
  static void on_environment_end(void* self) noexcept;
  static void call_javascript(napi_env env, napi_value callback, void* context,
                              void* data) noexcept;

  std::unique_ptr<Engine> engine_;  ///< null once stopped
  EventBuffer last_events_;         ///< written before the threads ended, and not drained yet
  napi_env env_;
  napi_threadsafe_function wake_ = nullptr;
};

}  // namespace stmqtt

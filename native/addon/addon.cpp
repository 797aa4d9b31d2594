// The addon's entry: what require('st_mqttd.node') returns.
// Thread: the JavaScript thread that loads it.
#include <napi.h>

namespace {

Napi::Value version(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), STMQTT_VERSION);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("version", Napi::Function::New(env, version, "version"));
  return exports;
}

}  // namespace

NODE_API_MODULE(st_mqttd, init)

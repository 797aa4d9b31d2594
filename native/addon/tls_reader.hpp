// NativeTlsOptions into TlsOptions, and a failure into a JavaScript error that names the item.
// Thread: JavaScript's.
#pragma once

#include <napi.h>

#include "io/tls_context.hpp"

namespace stmqtt {

/// False: a JavaScript exception is pending.
[[nodiscard]] bool read_tls_options(Napi::Env env, const Napi::Object& from, TlsOptions& to);
/// An Error with code ST_NATIVE_TLS and the properties item, index and reason.
void throw_tls_failure(Napi::Env env, const TlsFailure& failure);

}  // namespace stmqtt

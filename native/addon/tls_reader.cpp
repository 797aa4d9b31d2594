#include "addon/tls_reader.hpp"

#include <string>

namespace stmqtt {
namespace {

bool refuse(Napi::Env env, const char* name, const char* wanted) {
  if (env.IsExceptionPending()) return false;
  Napi::Error error =
      Napi::TypeError::New(env, std::string("TLS option ") + name + " must be " + wanted);
  error.Set("code", Napi::String::New(env, "ST_NATIVE_OPTION"));
  error.ThrowAsJavaScriptException();
  return false;
}

bool read_text(Napi::Env env, const Napi::Object& from, const char* name, std::string& to) {
  const Napi::Value value = from.Get(name);
  if (!value.IsString()) return refuse(env, name, "a string");
  to = value.As<Napi::String>().Utf8Value();
  return true;
}

bool read_buffer(Napi::Env env, const Napi::Value& value, const char* name, std::string& to) {
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    return refuse(env, name, "a Buffer");
  }
  const auto bytes = value.As<Napi::Uint8Array>();
  to.assign(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
  return true;
}

template <class Read>
bool read_each(Napi::Env env, const Napi::Object& from, const char* name, Read&& read) {
  const Napi::Value value = from.Get(name);
  if (!value.IsArray()) return refuse(env, name, "an array");
  const auto array = value.As<Napi::Array>();
  for (std::uint32_t at = 0; at < array.Length(); at++) {
    if (!read(array.Get(at))) return false;
  }
  return true;
}

bool read_texts(Napi::Env env, const Napi::Object& from, const char* name,
                std::vector<std::string>& to) {
  return read_each(env, from, name, [&](const Napi::Value& value) {
    if (!value.IsString()) return refuse(env, name, "an array of strings");
    to.push_back(value.As<Napi::String>().Utf8Value());
    return true;
  });
}

bool read_buffers(Napi::Env env, const Napi::Object& from, const char* name,
                  std::vector<std::string>& to) {
  return read_each(env, from, name, [&](const Napi::Value& value) {
    to.emplace_back();
    return read_buffer(env, value, name, to.back());
  });
}

bool read_identity(Napi::Env env, const Napi::Value& value, TlsIdentity& to) {
  if (!value.IsObject()) return refuse(env, "identities", "an array of objects");
  const auto from = value.As<Napi::Object>();
  if (!read_texts(env, from, "names", to.names)) return false;
  if (from.Has("pkcs12")) {
    if (!read_buffer(env, from.Get("pkcs12"), "pkcs12", to.pkcs12)) return false;
    if (to.pkcs12.empty()) return refuse(env, "pkcs12", "not empty");
  } else if (!read_buffer(env, from.Get("certificate"), "certificate", to.certificate) ||
             !read_buffer(env, from.Get("key"), "key", to.key)) {
    return false;
  }
  const Napi::Value passphrase = from.Get("passphrase");
  to.has_passphrase = passphrase.IsString();
  if (to.has_passphrase) to.passphrase = passphrase.As<Napi::String>().Utf8Value();
  return true;
}

}  // namespace

bool read_tls_options(Napi::Env env, const Napi::Object& from, TlsOptions& to) {
  const bool identities =
      read_each(env, from, "identities", [&](const Napi::Value& value) {
        to.identities.emplace_back();
        return read_identity(env, value, to.identities.back());
      });
  std::string verify;
  std::string min_version;
  if (!identities || !read_buffers(env, from, "ca", to.ca) ||
      !read_buffers(env, from, "crl", to.crl) || !read_text(env, from, "verify", verify) ||
      !read_text(env, from, "min_version", min_version) ||
      !read_text(env, from, "ciphers", to.ciphers) ||
      !read_text(env, from, "ciphersuites", to.ciphersuites) ||
      !read_texts(env, from, "alpn", to.alpn)) {
    return false;
  }
  if (verify == "require") {
    to.verify = TlsVerify::require;
  } else if (verify == "optional") {
    to.verify = TlsVerify::optional;
  } else if (verify != "none") {
    return refuse(env, "verify", "none, optional or require");
  }
  if (min_version != "1.2" && min_version != "1.3") return refuse(env, "min_version", "1.2 or 1.3");
  to.tls13_only = min_version == "1.3";
  const Napi::Value alpn_required = from.Get("alpn_required");
  if (!alpn_required.IsBoolean()) return refuse(env, "alpn_required", "a boolean");
  to.alpn_required = alpn_required.As<Napi::Boolean>().Value();
  return true;
}

void throw_tls_failure(Napi::Env env, const TlsFailure& failure) {
  static constexpr const char* kItems[] = {"none", "openssl", "certificate", "key", "passphrase",
                                           "pkcs12", "ca", "crl", "ciphers", "ciphersuites", "alpn"};
  const char* item = kItems[static_cast<std::size_t>(failure.item)];
  Napi::Error error = Napi::Error::New(env, std::string("TLS: ") + item + " " + failure.text);
  error.Set("code", Napi::String::New(env, "ST_NATIVE_TLS"));
  error.Set("item", Napi::String::New(env, item));
  error.Set("index", Napi::Number::New(env, static_cast<double>(failure.index)));
  error.Set("reason", Napi::String::New(env, failure.text));
  error.ThrowAsJavaScriptException();
}

}  // namespace stmqtt

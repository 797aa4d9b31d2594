// Reads what JavaScript gives as an object of options: each by its name, into a number, a flag or a
// text. Thread: JavaScript's.
#pragma once

#include <napi.h>

#include <cmath>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "route/log_options.hpp"

namespace stmqtt {

/// Reads properties of one object; after the first that does not fit, or whose getter threw, an
/// exception is pending.
class ObjectReader {
 public:
  ObjectReader(Napi::Env env, Napi::Object from) : env_(env), from_(from) {}

  template <class T>
  void number(const char* name, T& to) {
    const Napi::Value value = get(name);
    if (failed_) return;
    if (!value.IsNumber()) return fail(name, "a number");
    const double given = value.As<Napi::Number>().DoubleValue();
    if (!(given >= 0) || given != std::floor(given) ||
        given >= std::ldexp(1.0, std::numeric_limits<T>::digits)) {
      return fail(name, "a whole number in range");
    }
    to = static_cast<T>(given);
  }
  void flag(const char* name, bool& to) {
    const Napi::Value value = get(name);
    if (failed_) return;
    if (!value.IsBoolean()) return fail(name, "a boolean");
    to = value.As<Napi::Boolean>().Value();
  }
  void text(const char* name, std::string& to) {
    const Napi::Value value = get(name);
    if (failed_) return;
    if (!value.IsString()) return fail(name, "a string");
    to = value.As<Napi::String>().Utf8Value();
  }
  /// An array of strings, each taken by `take`; false from it = it is not `wanted`.
  template <class Take>
  void texts(const char* name, const char* wanted, Take take) {
    const Napi::Value value = get(name);
    if (failed_) return;
    if (!value.IsArray()) return fail(name, "an array");
    const auto items = value.As<Napi::Array>();
    for (std::uint32_t i = 0; i < items.Length(); ++i) {
      const Napi::Value item = items.Get(i);
      failed_ = env_.IsExceptionPending();
      if (failed_) return;
      if (!item.IsString() || !take(item.As<Napi::String>().Utf8Value())) return fail(name, wanted);
    }
  }
  template <class T>
  void choice(const char* name, T& to,
              std::initializer_list<std::pair<const char*, T>> choices) {
    std::string given;
    text(name, given);
    if (failed_) return;
    for (const auto& [word, value] : choices) {
      if (given == word) {
        to = value;
        return;
      }
    }
    fail(name, "one of its words");
  }
  [[nodiscard]] Napi::Object object(const char* name) {
    const Napi::Value value = get(name);
    if (!failed_ && value.IsObject()) return value.As<Napi::Object>();
    fail(name, "an object");
    return Napi::Object::New(env_);
  }
  void fail(const char* name, const char* wanted) {
    if (failed_) return;
    failed_ = true;
    Napi::Error error =
        Napi::TypeError::New(env_, std::string("native option ") + name + " must be " + wanted);
    error.Set("code", Napi::String::New(env_, "ST_NATIVE_OPTION"));
    error.ThrowAsJavaScriptException();
  }
  [[nodiscard]] bool good() const { return !failed_; }
  /// An exception is pending already.
  void give_up() { failed_ = true; }
  /// Whether it is there: for those that may be left out.
  [[nodiscard]] bool has(const char* name) { return !get(name).IsUndefined() && !failed_; }
  [[nodiscard]] bool is_null(const char* name) { return get(name).IsNull() && !failed_; }

 private:
  /// Undefined once something has failed.
  [[nodiscard]] Napi::Value get(const char* name) {
    if (failed_) return env_.Undefined();
    const Napi::Value value = from_.Get(name);
    failed_ = env_.IsExceptionPending();
    return value;
  }

  Napi::Env env_;
  Napi::Object from_;
  bool failed_ = false;
};

/// `logs` of the options that may change: log_options_reader.cpp.
void read_log_options(Napi::Env env, ObjectReader& outer, std::shared_ptr<const LogOptions>& to);

}  // namespace stmqtt

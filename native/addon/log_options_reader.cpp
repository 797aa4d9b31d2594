#include "addon/object_reader.hpp"
#include "wire/topic.hpp"

namespace stmqtt {
namespace {

constexpr std::uint32_t kMaxSegments = 1'000'000;

bool good_segments(std::uint64_t bytes, std::uint32_t count) {
  return bytes >= 1 && count >= 1 && count <= kMaxSegments;
}

}  // namespace

/// { segment_bytes, segment_count, custom: [[filter, bytes, count], …], initialized: [filter, …],
/// max_filters, max_bytes, replay }
void read_log_options(Napi::Env env, ObjectReader& outer, std::shared_ptr<const LogOptions>& to) {
  const Napi::Object given = outer.object("logs");
  if (!outer.good()) return;
  ObjectReader reader(env, given);
  auto logs = std::make_shared<LogOptions>();
  reader.number("segment_bytes", logs->segments.bytes);
  reader.number("segment_count", logs->segments.count);
  reader.number("max_filters", logs->max_filters);
  reader.number("max_bytes", logs->max_bytes);
  reader.choice("replay", logs->replay,
                {{"tail", LogReplay::tail}, {"backlog", LogReplay::backlog}});
  reader.texts("initialized", "Topic Filters", [&](const std::string& filter) {
    logs->initialized.push_back(filter);
    return wire::valid_topic_filter(as_bytes(filter));
  });
  if (reader.good() && !good_segments(logs->segments.bytes, logs->segments.count)) {
    reader.fail("segment_bytes", "at least 1, and segment_count 1 to 1000000");
  }
  const Napi::Object custom = reader.object("custom");
  const std::uint32_t count = reader.good() && custom.IsArray() ? custom.As<Napi::Array>().Length() : 0;
  for (std::uint32_t at = 0; reader.good() && at < count; ++at) {
    const Napi::Value each = custom.Get(at);
    LogOptions::Custom one;
    bool good = each.IsArray();
    if (good) {
      const auto parts = each.As<Napi::Object>();
      const Napi::Value filter = parts.Get(0U);
      const Napi::Value bytes = parts.Get(1U);
      const Napi::Value segments = parts.Get(2U);
      good = filter.IsString() && bytes.IsNumber() && segments.IsNumber();
      if (good) {
        one.filter = filter.As<Napi::String>().Utf8Value();
        one.segments.bytes = static_cast<std::uint64_t>(bytes.As<Napi::Number>().Int64Value());
        one.segments.count = segments.As<Napi::Number>().Uint32Value();
        good = wire::valid_topic_filter(as_bytes(one.filter)) &&
               good_segments(one.segments.bytes, one.segments.count);
      }
    }
    if (!good) reader.fail("custom", "a list of filter, bytes and count");
    logs->custom.push_back(std::move(one));
  }
  if (!reader.good()) return outer.give_up();
  logs->settle();
  to = std::move(logs);
}

}  // namespace stmqtt

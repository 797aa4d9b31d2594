#include "route/topic_seek.hpp"

#include <algorithm>
#include <compare>

#include "route/topic_levels.hpp"

namespace stmqtt {
namespace {

// All that begins with "x/" is less than "x" with this behind it, and nothing else lies between.
constexpr std::string_view kBehindSlash = "0";
static_assert('0' == '/' + 1);

}  // namespace

TopicSeek::TopicSeek(Bytes filter) {
  TopicLevels levels(filter);
  bool literal = true;
  for (Bytes level; levels.next(level);) {
    if (is_hash(level)) {
      open_ended_ = true;
      break;
    }
    if (literal && is_plus(level)) {
      literal = false;
      if (!levels_.empty()) start_ += '/';
    }
    if (literal) {
      if (!levels_.empty()) start_ += '/';
      start_ += as_text(level);
    }
    levels_.push_back(level);
  }
}

TopicSeek::Step TopicSeek::step(Bytes topic) {
  const bool starts_wild = levels_.empty() || is_plus(levels_[0]);
  if (starts_wild && starts_with_dollar(topic)) {  // [MQTT-4.7.2-1]
    target_.assign(1, '%');  // not ="%": g++ 12 sees an overlap in it that is not there
    static_assert('%' == '$' + 1);
    return Step::seek;
  }
  ends_.clear();
  TopicLevels levels(topic);
  Bytes level;
  for (std::size_t index = 0; index < levels_.size(); ++index) {
    if (!levels.next(level)) {
      // The topic ends too early. What lies between it and its children shares this level's
      // beginning only, so it matters to a "+" and to nothing else.
      return is_plus(levels_[index - 1]) ? Step::next : seek_to(topic, "/");
    }
    const auto begin = static_cast<std::size_t>(level.data() - topic.data());
    if (!is_plus(levels_[index]) && !std::ranges::equal(level, levels_[index])) {
      return seek_level(topic, topic.first(begin), index);
    }
    ends_.push_back(static_cast<std::uint32_t>(begin + level.size()));
  }
  if (open_ended_ || !levels.next(level)) return Step::match;
  // The topic goes on below what the filter means.
  return seek_behind(topic, levels_.size());
}

// Level `index` is a literal that the topic does not have behind `prefix`.
TopicSeek::Step TopicSeek::seek_level(Bytes topic, Bytes prefix, std::size_t index) {
  const Bytes rest = topic.subspan(prefix.size());
  const Bytes wanted = levels_[index];
  const bool last = index + 1 == levels_.size();
  if (std::ranges::lexicographical_compare(rest, wanted)) {
    return seek_to(prefix, as_text(wanted));
  }
  // "ab-" lies behind "ab" and before "ab/": if the filter goes on, its children are still ahead.
  if (!last || open_ended_) {
    std::string children(as_text(wanted));
    children += '/';
    if (as_text(rest) < children) return seek_to(prefix, children);
  }
  return seek_behind(topic, index);
}

// Everything with the values that the levels before `index` have is passed: the next value of the
// last "+" among them is due.
TopicSeek::Step TopicSeek::seek_behind(Bytes topic, std::size_t index) {
  while (index > 0) {
    --index;
    if (is_plus(levels_[index])) return seek_to(topic.first(ends_[index]), kBehindSlash);
  }
  return Step::done;
}

TopicSeek::Step TopicSeek::seek_to(Bytes text, std::string_view suffix) {
  target_.assign(as_text(text));
  target_ += suffix;
  return Step::seek;
}

}  // namespace stmqtt

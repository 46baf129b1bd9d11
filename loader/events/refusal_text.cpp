#include "loader/events/refusal_text.h"

#include <nlohmann/json.hpp>

#include "loader/events/advice.h"
#include "loader/events/event_json.h"
#include "loader/events/event_text.h"
#include "loader/text/systemd_unit.h"
#include "loader/text/time_text.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;
using std::string;

string when_text(const RefusalGroup& group, int64_t now) {
  if (group.last == 0) return std::to_string(group.count) + " times";
  string last = local_time(group.last) + " (" + ago_text(now - group.last) + ")";
  if (group.count == 1) return last;
  return std::to_string(group.count) + " times since " + local_time(group.first) + ", last " + last;
}

json text_or_null(const string& text) { return text.empty() ? json() : json(text); }

}  // namespace

string refusal_text(const RefusalGroup& group, int64_t now) {
  return when_text(group, now) + "\n  " + deed_text(group.event) + ".\n" +
         explanation_text(group.event, "  ");
}

json refusal_to_json(const RefusalGroup& group) {
  const Event& event = group.event;
  const Advice advice = advice_for(event);
  return {{"count", group.count},
          {"first", group.first},
          {"last", group.last},
          {"refused", event.refused},
          {"unit", text_or_null(unit_of_cgroup(event.cgroup))},
          {"who", who_text(event)},
          {"what", what_text(event)},
          {"outcome", outcome_text(event)},
          {"why", reasons_of(event)},
          {"do", advice.steps},
          {"rule", text_or_null(advice.rule)},
          {"place", text_or_null(advice.place)},
          {"event", event_to_json(event)}};
}

}  // namespace bpfwarden::loader

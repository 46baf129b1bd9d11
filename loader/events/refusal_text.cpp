#include "loader/events/refusal_text.h"

#include "loader/events/event_text.h"
#include "loader/text/time_text.h"

namespace bpfwarden::loader {
namespace {

using std::string;

string when_text(const RefusalGroup& group, int64_t now) {
  if (group.last == 0) return std::to_string(group.count) + " times";
  string last = local_time(group.last) + " (" + ago_text(now - group.last) + ")";
  if (group.count == 1) return last;
  return std::to_string(group.count) + " times since " + local_time(group.first) + ", last " + last;
}

}  // namespace

string refusal_text(const RefusalGroup& group, int64_t now) {
  return when_text(group, now) + "\n  " + deed_text(group.event) + ".\n" +
         explanation_text(group.event, "  ");
}

}  // namespace bpfwarden::loader

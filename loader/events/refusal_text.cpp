#include "loader/events/refusal_text.h"

#include "loader/events/event_text.h"
#include "loader/text/time_text.h"
#include "loader/text/wrapped_text.h"

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

string refusal_text(const RefusalGroup& group, int64_t now, size_t columns) {
  const string margin = "  ";
  const auto fit = [&](const string& text, size_t left) {
    return wrapped(text, left, left, columns);
  };
  return fit(when_text(group, now), 0) + "\n" + margin +
         fit(deed_text(group.event) + ".", margin.size()) + "\n" +
         explanation_text(group.event, margin, columns);
}

}  // namespace bpfwarden::loader

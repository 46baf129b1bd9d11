#include "loader/events/refusal_text.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "loader/events/advice.h"
#include "loader/text/json_member.h"
#include "loader/text/systemd_unit.h"
#include "loader/text/time_text.h"
#include "policy/text/wording.h"

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

string who_text(const json& event) {
  const string unit = unit_of_cgroup(text_of(event, "cgroup")), exe = text_of(event, "exe");
  const string cgroup = text_of(event, "cgroup");
  string text = text_of(event, "comm");
  if (text.empty()) text = "somebody";
  text += " (";
  if (!unit.empty()) text += unit + ", ";
  if (unit.empty() && cgroup.size() > 1) text += "cgroup " + cgroup + ", ";
  if (!exe.empty()) text += exe + ", ";
  return text + "uid " + std::to_string(number_of(event, "uid")) + ", pid " +
         std::to_string(number_of(event, "tgid")) + ")";
}

string signed_text(const json& event) {
  const string signature = text_of(event, "signature"), signer = text_of(event, "signer");
  if (signature == "unsigned" || signature.empty()) return "an unsigned";
  return "a " + signature + " signed (by " + (signer.empty() ? "a key unknown here" : signer) + ")";
}

// The program was attached before.
bool is_after_move(const json& event) { return text_of(event, "route").starts_with("device-"); }

string move_text(const json& event, const string& named) {
  const string program = signed_text(event) + named, attach = text_of(event, "attach");
  const string route = text_of(event, "route");
  if (route == "device-renamed") return "renamed the device of " + program + ", now " + attach;
  if (route == "device-joined")
    return "joined a device to a bond, a shared block or an action with " + program + ", now " +
           attach;
  return "moved the device of " + program + " into another network namespace, now " + attach;
}

// Somebody wanted the link of one who won a race, or to get at who attaches.
bool is_reach(const json& event) {
  return text_of(event, "cause") == policy::cause_name(BW_CAUSE_ATTACH_RACE) &&
         number_of(event, "errno") != 0;
}

string what_text(const json& event) {
  const string hook = text_of(event, "hook"), program = text_of(event, "program");
  if (hook == "observed") return "to load a signed program";
  if (hook == "bpf_map_create") return "to create a map that a signature covers, writable";
  if (hook == "token-create") return "to make a BPF token";
  if (hook == "key_permission")
    return "to change key " + std::to_string(number_of(event, "key_serial")) +
           " of bpfwarden's keyring";
  const string attach = text_of(event, "attach"), route = text_of(event, "route");
  const string named = program.empty() ? " program" : " program '" + program + "'";
  if (hook == "attach" && is_after_move(event)) return move_text(event, named);
  if (is_reach(event)) return "to reach for the attachment of " + signed_text(event) + named;
  if (hook != "attach") return "to load " + signed_text(event) + " " + attach + named;
  if (route == "test-run") return "to run " + signed_text(event) + " " + attach + named;
  return "to attach " + signed_text(event) + named + " to " + attach +
         (route.empty() ? "" : " by " + route);
}

string outcome_text(const json& event) {
  if (is_after_move(event)) return "the program is still attached";
  if (!is_true(event, "refused")) return "it was let through in audit mode only";
  if (text_of(event, "cause") == policy::cause_name(BW_CAUSE_ATTACH_RACE) && !is_reach(event))
    return "it was attached, and its process was killed";
  const auto error = static_cast<int>(number_of(event, "errno"));
  const char* name = ::strerrorname_np(error);
  const string got = name != nullptr ? name : std::to_string(error);
  return text_of(event, "hook") == "observed" ? "the kernel itself refused it with " + got
                                              : "it got " + got;
}

string cause_text_of(const json& event) {
  string name = text_of(event, "cause");
  const auto cause = policy::cause_named(name);
  return cause ? string(policy::cause_text(*cause)) : name;
}

std::vector<string> reasons_of(const json& event) {
  const string rule = text_of(event, "rule");
  const int64_t line = number_of(event, "rule_line");
  const string version =
      " (policy version " + std::to_string(number_of(event, "policy_version")) + ")";
  std::vector<string> reasons;
  if (rule.empty())
    reasons.push_back(cause_text_of(event) + version);
  else
    reasons.push_back("rule '" + rule + "'" + (line > 0 ? " on line " + std::to_string(line) : "") +
                      " decided" + version);
  if (const auto almost = event.find("almost"); almost != event.end() && almost->is_array())
    for (const json& one : *almost)
      if (one.is_string()) reasons.push_back(one.get<string>());
  return reasons;
}

void append_list(const char* label, const std::vector<string>& lines, string& text) {
  string head = label;
  for (const string& line : lines) {
    text += head + line + "\n";
    head.assign(std::strlen(label), ' ');
  }
}

string indented(const string& block) {
  string text;
  std::istringstream lines(block);
  for (string line; std::getline(lines, line);) text += "    " + line + "\n";
  return text;
}

}  // namespace

string refusal_text(const RefusalGroup& group, int64_t now) {
  const json& event = group.event;
  const Advice advice = advice_for(event);
  string text = when_text(group, now) + "\n  " + who_text(event) +
                (is_after_move(event) ? " " : " tried ") + what_text(event) + "; " +
                outcome_text(event) + ".\n";
  append_list("  why: ", reasons_of(event), text);
  append_list("  do:  ", advice.steps, text);
  if (!advice.rule.empty()) text += "  the rule, " + advice.place + ":\n\n" + indented(advice.rule);
  return text;
}

json refusal_to_json(const RefusalGroup& group) {
  const json& event = group.event;
  const Advice advice = advice_for(event);
  const string unit = unit_of_cgroup(text_of(event, "cgroup"));
  return {{"count", group.count},
          {"first", group.first},
          {"last", group.last},
          {"refused", is_true(event, "refused")},
          {"unit", unit.empty() ? json() : json(unit)},
          {"who", who_text(event)},
          {"what", what_text(event)},
          {"outcome", outcome_text(event)},
          {"why", reasons_of(event)},
          {"do", advice.steps},
          {"rule", advice.rule.empty() ? json() : json(advice.rule)},
          {"place", advice.place.empty() ? json() : json(advice.place)},
          {"event", event}};
}

}  // namespace bpfwarden::loader

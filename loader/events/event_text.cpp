#include "loader/events/event_text.h"

#include <cstring>
#include <sstream>

#include "loader/events/advice.h"
#include "loader/text/hardened.h"
#include "loader/text/systemd_unit.h"
#include "loader/text/wrapped_text.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

using std::string;

string signed_text(const Event& event) {
  if (event.signature == BW_SIGNATURE_UNSIGNED || event.signature.text.empty())
    return "an unsigned";
  return "a " + event.signature.text + " signed (by " +
         (event.signer.empty() ? "a key unknown here" : event.signer) + ")";
}

string move_text(const Event& event, const string& named) {
  const string program = signed_text(event) + named;
  if (event.route == BW_ROUTE_DEVICE_RENAMED)
    return "renamed the device of " + program + ", now " + event.attach;
  if (event.route == BW_ROUTE_DEVICE_JOINED)
    return "joined a device to a bond, a shared block or an action with " + program + ", now " +
           event.attach;
  return "moved the device of " + program + " into another network namespace, now " + event.attach;
}

string touch_text(const Event& event) {
  if (event.cause == BW_CAUSE_ORDER_REFUSED) return "ordered another policy";
  if (event.cause == BW_CAUSE_WARDEN_SILENT) return "made a call that no hook has judged";
  if (event.route == BW_ROUTE_OWN_SET) return "opened " + event.object + " to write";
  if (event.route == BW_ROUTE_OWN_OUTRANKED)
    return "attached or detached a program of LSM_CGROUP, beside the guard";
  const string object = "bpfwarden's " + (event.object.empty() ? "objects" : event.object);
  if (event.route == BW_ROUTE_OWN_BOUND) return "had a program use " + object;
  if (event.route == BW_ROUTE_OWN_PIN_REMOVED) return "removed a pin of " + object;
  if (event.route == BW_ROUTE_OWN_PIN_RENAMED) return "renamed a pin of " + object;
  if (event.route == BW_ROUTE_OWN_EXTENDED)
    return "loaded a program that extends or traces " + object;
  const bool writes =
      event.route == BW_ROUTE_OWN_WRITABLE_BY_NUMBER || event.route == BW_ROUTE_OWN_WRITABLE_BY_PIN;
  const bool by_pin =
      event.route == BW_ROUTE_OWN_BY_PIN || event.route == BW_ROUTE_OWN_WRITABLE_BY_PIN;
  return "opened " + object + (writes ? " to write" : "") +
         (by_pin ? ", by its pin" : ", by its number");
}

// Somebody wanted the link of one who won a race, or to get at who attaches.
bool is_reach(const Event& event) {
  return event.cause == BW_CAUSE_ATTACH_RACE && event.error != 0;
}

string way_text(const Event& event) {
  if (event.route == BW_ROUTE_UNJUDGED)
    return " by a way that no hook judged" +
           (event.system_call.empty() ? "" : ", " + event.system_call);
  return event.route.text.empty() ? "" : " by " + event.route.text;
}

string attachment_text(const Event& event, const string& named) {
  if (is_after_move(event)) return move_text(event, named);
  if (is_reach(event)) return "to reach for the attachment of " + signed_text(event) + named;
  if (event.route == BW_ROUTE_TEST_RUN)
    return "to run " + signed_text(event) + " " + event.attach + named;
  return "to attach " + signed_text(event) + named + " to " + event.attach + way_text(event);
}

string error_name(int32_t error) {
  const char* name = ::strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

// What the staged policy says, and what the active one did.
string difference_text(const Event& event) {
  string text = "the staged policy would ";
  text += event.decision == Decision::allow ? "allow"
          : event.mode == BW_MODE_AUDIT     ? "report"
                                            : "REFUSE";
  text += " what the active one ";
  if (event.active_refused.value_or(false)) return text + "refused";
  return text + (event.active_decision == Decision::allow ? "allowed" : "let through");
}

string verdict_text(const Event& event) {
  if (event.hook == BW_HOOK_OBSERVED) return "REJECTED BY THE KERNEL";
  if (event.hook == BW_HOOK_STAGED) return difference_text(event);
  if (event.refused) return "DENIED";
  if (event.decision != Decision::deny) return "allowed";
  if (is_touch(event)) return "SEEN";
  return is_after_move(event) ? "NO LONGER ALLOWED" : "would be DENIED";
}

string cause_text_of(const Event& event) {
  return event.cause.known ? string(policy::cause_text(*event.cause.known)) : event.cause.text;
}

void append_list(const string& head, const std::vector<string>& lines, size_t columns,
                 string& text) {
  string before = head;
  for (const string& line : lines) {
    text += before + wrapped(line, head.size(), head.size(), columns) + '\n';
    before.assign(head.size(), ' ');
  }
}

string indented(const string& margin, const string& block) {
  string text;
  std::istringstream lines(block);
  for (string line; std::getline(lines, line);)
    text.append(margin).append("  ").append(line + "\n");
  return text;
}

}  // namespace

string who_text(const Event& event) {
  const string unit = unit_of_cgroup(event.cgroup);
  string text = event.comm.empty() ? "somebody" : event.comm;
  text += " (";
  if (!unit.empty()) text += unit + ", ";
  if (unit.empty() && event.cgroup.size() > 1) text += "cgroup " + event.cgroup + ", ";
  if (!event.exe.empty()) text += event.exe + ", ";
  return text + "uid " + std::to_string(event.uid.value_or(0)) + ", pid " +
         std::to_string(event.tgid) + ")";
}

string what_text(const Event& event) {
  if (event.hook == BW_HOOK_OBSERVED) return "to load a signed program";
  if (event.hook == BW_HOOK_MAP_CREATE) return "to create a map that a signature covers, writable";
  if (event.hook == BW_HOOK_TOKEN_CREATE) return "to make a BPF token";
  if (event.hook == BW_HOOK_HARDEN) return hardened_deed(event.object);
  if (is_touch(event)) return touch_text(event);
  if (event.hook == BW_HOOK_KEY)
    return "to change key " + std::to_string(event.key_serial) + " of bpfwarden's keyring";
  const string named = event.program.empty() ? " program" : " program '" + event.program + "'";
  if (is_attachment(event)) return attachment_text(event, named);
  if (is_reach(event)) return "to reach for the attachment of " + signed_text(event) + named;
  const string program = signed_text(event) + " " + event.attach + named;
  return is_feature_probe(event) ? "to load a feature probe, " + program : "to load " + program;
}

string outcome_text(const Event& event) {
  if (is_after_move(event)) return "the program is still attached";
  if (is_touch(event) && event.error == 0) return "nothing was refused";
  if (!event.refused) return "it was let through in audit mode only";
  if (event.cause == BW_CAUSE_ATTACH_RACE && !is_reach(event))
    return "it was attached, and its process was killed";
  if (event.cause == BW_CAUSE_UNJUDGED_ROUTE && event.error == 0) return "its process was killed";
  const string got = error_name(event.error);
  return event.hook == BW_HOOK_OBSERVED ? "the kernel itself refused it with " + got
                                        : "it got " + got;
}

string deed_text(const Event& event) {
  if (event.hook == BW_HOOK_SUM)
    return "too many denials to tell apart, so only their number is known";
  const bool is_done = is_after_move(event) || is_touch(event);
  const char* verb = is_done ? " " : is_refusal(event) ? " tried " : " asked ";
  return who_text(event) + verb + what_text(event) +
         (is_refusal(event) ? "; " + outcome_text(event) : "");
}

std::vector<string> reasons_of(const Event& event) {
  const string version = " (policy version " + std::to_string(event.policy_version) + ")";
  const uint32_t line = event.rule_line.value_or(0);
  std::vector<string> reasons;
  if (event.rule.empty())
    reasons.push_back(cause_text_of(event) + version);
  else
    reasons.push_back("rule '" + event.rule + "'" +
                      (line > 0 ? " on line " + std::to_string(line) : "") + " decided" + version);
  reasons.insert(reasons.end(), event.almost.begin(), event.almost.end());
  return reasons;
}

string event_sentence(const Event& event) {
  return verdict_text(event) + ": " + deed_text(event) + ": " + reasons_of(event).front();
}

string explanation_text(const Event& event, const string& margin, size_t columns) {
  string text;
  append_list(margin + "why: ", reasons_of(event), columns, text);
  if (!is_refusal(event)) return text;
  const Advice advice = advice_for(event);
  append_list(margin + "do:  ", advice.steps, columns, text);
  if (!advice.rule.empty())
    text += margin +
            wrapped("the rule, " + advice.place + ":", margin.size(), margin.size(), columns) +
            "\n\n" + indented(margin, advice.rule);
  return text;
}

string event_to_text(const Event& event) {
  const string number = event.sequence != 0 ? "#" + std::to_string(event.sequence)
                                            : std::to_string(event.count) + " times";
  return number + " " + verdict_text(event) + ": " + deed_text(event) + ".\n" +
         explanation_text(event, "    ");
}

}  // namespace bpfwarden::loader

#include "loader/events/advice.h"

#include <array>
#include <cerrno>
#include <utility>

#include "loader/text/hardened.h"
#include "policy/answers/probes.h"
#include "policy/answers/rule_text.h"
#include "policy/language/attach_pattern.h"
#include "policy/language/words.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

using std::string;
using std::string_view;

bool is_signed(const policy::RecordedLoad& load) {
  return load.signature != policy::Signature::unsigned_;
}

// ---- Rejected by the kernel ---------------------------------------------------------------------

string next_step_for_errno(int32_t error) {
  static constexpr auto steps = std::to_array<std::pair<int, std::string_view>>({
      {ENOKEY,
       "The keyring that the load named has no key that made this signature. Name the signer's "
       "certificate in the policy, as in [keys.NAME] certificates = [\"FILE.pem\"], apply it, and "
       "load through `bpfwarden run`, which names bpfwarden's keyring."},
      {EKEYREJECTED,
       "The key is there, but the signature is not of these bytes: the program or its maps are not "
       "what was signed. Get the file again, or sign it with `bpfwarden sign OBJECT.bpf.o --key "
       "KEY "
       "--cert CERT -o FILE`."},
      {EBADMSG,
       "The signature is no CMS message that the kernel can read: the file is damaged or was "
       "signed by another tool. Sign it with `bpfwarden sign OBJECT.bpf.o --key KEY --cert CERT -o "
       "FILE`."},
      {ENOPKG,
       "The kernel lacks the algorithm of this signature. `bpfwarden doctor` says which it has; "
       "make a key with `bpfwarden keys new NAME` and sign with that."},
      {EKEYEXPIRED,
       "The certificate has expired. Renew it, name it in the policy, and sign again."},
      {EKEYREVOKED, "The key was revoked in its keyring. Sign with another that the policy names."},
      {EACCES,
       "The program is bound to a map that its signature does not cover. Build it as a light "
       "skeleton: `bpfwarden sign OBJECT.bpf.o --key KEY --cert CERT -o FILE` does."},
      {EPERM,
       "Either a map that the signature covers is not frozen, or not exclusive to the program: "
       "load "
       "it through `bpfwarden run FILE`. Or the caller may not load programs at all, signed or "
       "not: `bpfwarden why --pid PID` tells what can have refused it."},
      {EINVAL,
       "The load names a keyring that there is not, or a signature without a size. Load it through "
       "`bpfwarden run FILE`."},
  });
  for (const auto& [number, step] : steps)
    if (number == error) return string(step);
  return string(policy::next_step(BW_CAUSE_KERNEL_REJECTED));
}

void advise_rejected(const Event& event, Advice& advice) {
  if (!event.wanted_key.empty())
    advice.steps.push_back("The missing key's id is " + event.wanted_key +
                           ": `bpfwarden keys show CERT.pem` prints the subject_key_id and the "
                           "serial of a certificate to compare with.");
  advice.steps.push_back(next_step_for_errno(event.error));
}

// ---- Refused by the policy ----------------------------------------------------------------------

string sign_command(const policy::RecordedLoad& load) {
  const string name = load.program.empty() ? "PROGRAM" : load.program;
  return "`bpfwarden sign " + name + ".bpf.o --key KEY --cert CERT -o " + name + ".bundle`";
}

// A digest that nothing has: a rule with it lets the next try get as far as its real digest.
policy::RuleText digest_question(const policy::RecordedLoad& load) {
  policy::RecordedLoad asked = load;
  asked.digest = string(64, '0');
  auto rule = policy::smallest_rule(asked);
  if (!rule) return {};
  rule->name = "which digest has " + (load.program.empty() ? "it" : load.program) + "? " +
               rule->allow.front();
  rule->comment = "Admits nothing: with it, the next refusal tells the digest.";
  return std::move(*rule);
}

void advise_unsigned(const Event& event, const policy::RecordedLoad& load, Advice& advice) {
  const bool a_key_is_enough = !event.almost.empty();
  advice.steps.push_back("Sign it: " + sign_command(load) +
                         (a_key_is_enough
                              ? ", with a key that the rules above name."
                              : ", and add a rule that allows " + load.attach + " to that key."));
  if (!load.digest.empty()) {
    advice.steps.emplace_back("Or admit exactly this program, unsigned, with the rule below.");
    return;
  }
  advice.steps.emplace_back(
      "Or admit exactly this program, unsigned, by its digest. The kernel refused it before it had "
      "one: with the rule below, which admits nothing, let it be tried once more and run "
      "`bpfwarden why` again.");
  advice.rule = policy::toml_text(digest_question(load));
}

void advise_unknown_key(const policy::RecordedLoad& load, Advice& advice) {
  advice.steps.emplace_back(
      "It is signed by a key that the policy does not know, or revokes. If you trust it, name its "
      "certificate as in [keys.NAME] certificates = [\"FILE.pem\"], and add a rule with signed-by "
      "= "
      "[\"NAME\"]. One that some key's `revoked` names vouches for nothing: have the program "
      "signed "
      "by another key.");
  if (!load.digest.empty())
    advice.steps.emplace_back("Or admit exactly this program with the rule below.");
}

string place_of_rule(const Event& event) {
  if (event.rule.empty()) return "anywhere among the rules";
  const uint32_t line = event.rule_line.value_or(0);
  return "above rule '" + event.rule + "'" +
         (line > 0 ? " (line " + std::to_string(line) + ")" : "") +
         ": the first rule that matches decides";
}

void advise_rule(const Event& event, Advice& advice) {
  const policy::RecordedLoad load = recorded_load_of(event);
  if (!is_signed(load)) {
    advise_unsigned(event, load, advice);
  } else if (load.signer.empty()) {
    advise_unknown_key(load, advice);
  } else {
    advice.steps.push_back("If '" + load.signer + "' may do that, add the rule below.");
    if (load.attach == "syscall")
      advice.steps.emplace_back(
          "This is the loader of a light skeleton. Each program that it loads is asked about by "
          "its own attach point: add those to the rule as `bpfwarden why` names them.");
  }
  if (auto rule = policy::smallest_rule(load); rule) advice.rule = policy::toml_text(*rule);
  if (!advice.rule.empty()) advice.place = place_of_rule(event);
}

// ---- Refused a feature probe --------------------------------------------------------------------

void advise_probe(const Event& event, Advice& advice) {
  const string tool = event.comm.empty() ? "its tool" : event.comm;
  advice.steps.push_back("This was only a probe, by which the library of " + tool +
                         " finds out what the kernel can do. " +
                         (event.refused ? "What " + tool +
                                              " really wanted to load is something else, and was "
                                              "never tried: nothing here tells what it is."
                                        : "What " + tool +
                                              " really loads is something else, and has an event "
                                              "of its own."));
  advice.rule = policy::probe_rule(event.attach);
  if (advice.rule.empty()) return;
  advice.steps.emplace_back(
      "One rule lets the probes of all tools be loaded, and nothing of them run: the one below. "
      "Then let it be tried again.");
  advice.place = place_of_rule(event);
}

// ---- Refused an attachment ----------------------------------------------------------------------

string wish_of(const Event& event, const policy::RecordedLoad& load) {
  const bool is_run = event.route == BW_ROUTE_TEST_RUN;
  if (load.signer.empty()) return is_run ? "it may be run" : "it may be attached there";
  return "'" + load.signer + "' may " + (is_run ? "run it" : "attach it there");
}

bool is_place_unknown(const policy::RecordedLoad& load) {
  const auto point = policy::parse_attach_point(load.attach);
  return point && point->place.empty() &&
         policy::attach_families()[point->family].place != policy::Place::none;
}

// A device, of whatever network namespace.
string detach_command(const policy::AttachPoint& point, bool has_joined) {
  const string_view family = policy::attach_families()[point.family].name;
  const string device = point.place.substr(point.place.rfind('/') + 1);
  if (has_joined && family == "xdp") return "`ip link set dev " + device + " nomaster`";
  if (has_joined) return "`tc qdisc del dev " + device + " clsact` (or ingress)";
  if (family == "xdp") return "`ip link set dev " + device + " xdp off`";
  if (family == "tc") return "`tc filter del dev " + device + " ingress` (or egress)";
  if (family == "tcx/ingress") return "`bpftool net detach tcx_ingress dev " + device + "`";
  if (family == "tcx/egress") return "`bpftool net detach tcx_egress dev " + device + "`";
  return "`ip link del dev " + device + "`";
}

void advise_detaching(const Event& event, Advice& advice) {
  const auto point = policy::parse_attach_point(event.attach);
  string step = "It is still attached: `bpfwarden inventory` shows where";
  if (point && !point->place.empty())
    step += ". To take it away: `bpftool link detach id ID` if it is a link, else " +
            detach_command(*point, event.route == BW_ROUTE_DEVICE_JOINED);
  if (point && point->place.starts_with("netns:")) step += ", in that network namespace";
  advice.steps.push_back(step + ".");
}

// Its load went through, so a rule admits the program already: to somewhere else.
void advise_attachment(const Event& event, Advice& advice) {
  const policy::RecordedLoad load = recorded_load_of(event);
  const auto pattern = policy::pattern_for(load.attach);
  if (!pattern) {
    advice.steps.emplace_back(policy::next_step(BW_CAUSE_DEFAULT));
    return;
  }
  if (auto rule = policy::smallest_rule(load); rule) advice.rule = policy::toml_text(*rule);
  advice.steps.push_back("If " + wish_of(event, load) + ", add `" + *pattern +
                         "` to the rule that admitted its load" +
                         (advice.rule.empty() ? "." : ", or add the rule below."));
  if (is_place_unknown(load))
    advice.steps.emplace_back(
        "Where it would run is not known there, so an attach point with `@` does not admit it.");
  if (!advice.rule.empty()) advice.place = place_of_rule(event);
}

}  // namespace

Advice advice_for(const Event& event) {
  Advice advice;
  const bw_cause cause = event.cause.known.value_or(BW_CAUSES);
  if (is_after_move(event)) advise_detaching(event, advice);
  const bool is_up_to_rules = !policy::is_fixed(cause);
  if (is_up_to_rules && event.hook == BW_HOOK_ATTACH)
    advise_attachment(event, advice);
  else if (is_up_to_rules && is_feature_probe(event))
    advise_probe(event, advice);
  else if (is_up_to_rules)
    advise_rule(event, advice);
  else if (cause == BW_CAUSE_KERNEL_REJECTED)
    advise_rejected(event, advice);
  else if (cause == BW_CAUSE_HARDENED && !event.object.empty())
    advice.steps.push_back(hardened_step(event.object));
  else
    advice.steps.emplace_back(policy::next_step(cause));
  return advice;
}

}  // namespace bpfwarden::loader

#include "loader/events/event.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <span>

#include "keyring/x509.h"
#include "loader/text/kernel_text.h"
#include "policy/answers/probes.h"
#include "policy/answers/reasons.h"
#include "policy/language/attach_pattern.h"
#include "policy/language/read_harden.h"

namespace bpfwarden::loader {
namespace {

template <class T>
Word<T> word_of_number(unsigned number) {
  return word_of(static_cast<T>(number));
}

const bw_rule* rule_of(const bw_event& event, const bw_image* image) {
  if (image == nullptr || event.rule >= BW_MAX_RULES || event.rule >= image->rule_count)
    return nullptr;
  return &image->rules[event.rule];
}

std::string rule_name(const bw_event& event, const bw_image* image) {
  const bw_rule* rule = rule_of(event, image);
  if (rule != nullptr) return kernel_text(rule->name, sizeof(rule->name));
  return event.rule == BW_NO_RULE ? "" : "#" + std::to_string(event.rule + 1);
}

std::string signer_name(const bw_event& event, const bw_image* image) {
  if (event.signer == BW_SIGNER_UNKNOWN) return "";
  if (image == nullptr || event.signer >= BW_MAX_SIGNERS) return "#" + std::to_string(event.signer);
  return kernel_text(image->signers[event.signer].name, sizeof(image->signers[event.signer].name));
}

bool is_program_record(const bw_event& event) {
  return event.hook == BW_HOOK_PROG_LOAD || event.hook == BW_HOOK_PROG ||
         event.hook == BW_HOOK_STAGED || event.hook == BW_HOOK_ATTACH;
}

// A difference of the staged policy may be about one, too.
bool is_attachment_record(const bw_event& event) {
  return event.hook == BW_HOOK_ATTACH ||
         (event.hook == BW_HOOK_STAGED && event.route != BW_ROUTE_NONE);
}

std::optional<size_t> family_of_record(const bw_event& event) {
  if (!is_attachment_record(event) || event.family == 0 ||
      event.family > policy::attach_families().size())
    return std::nullopt;
  return event.family - 1;
}

std::string place_text(const bw_event& event) {
  return event.route == BW_ROUTE_UNJUDGED ? "" : kernel_text(event.place, sizeof(event.place));
}

std::string attach_text(const bw_event& event) {
  if (!is_program_record(event)) return "";
  std::string target = kernel_text(event.attach_name, sizeof(event.attach_name));
  const auto family = family_of_record(event);
  if (!family) return policy::describe_attach_point(event.prog_type, event.attach_type, target);
  if (policy::has_owned_targets(*family)) target = policy::target_of_facts(target);
  if (target.empty()) target = policy::kUnknownTarget;
  return policy::attach_point_text({*family, std::move(target), place_text(event)});
}

std::string hex_or_empty(std::span<const uint8_t> bytes) {
  for (const uint8_t byte : bytes)
    if (byte != 0) return hex(bytes);
  return "";
}

std::string wanted_key(const bw_event& event) {
  const size_t length = std::min<size_t>(event.wanted_key_length, sizeof(event.wanted_key));
  return hex(std::span(event.wanted_key).first(length));
}

uint64_t clock_ns(clockid_t clock) {
  timespec now = {};
  ::clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNanosPerSecond + static_cast<uint64_t>(now.tv_nsec);
}

// By the wall clock as it stands now.
Micros wall_time(uint64_t boot_ns) {
  const uint64_t wall_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) + boot_ns;
  return static_cast<Micros>(wall_ns / 1'000);
}

bool has_trait(const bw_event& event, bw_trait trait) { return ((event.traits >> trait) & 1) != 0; }

void set_name(bw_name& name, const void* bytes, size_t size) {
  if (size == 0 || size >= BW_NAME_SIZE) return;  // not known
  std::memcpy(name.bytes, bytes, size);
  name.length = static_cast<uint8_t>(size);
  name.known = 1;
}

void set_text(bw_name& name, const __u64 (&words)[BW_NAME_WORDS]) {
  const char* text = reinterpret_cast<const char*>(words);
  set_name(name, text, ::strnlen(text, sizeof(words)));
}

// As the kernel part had them.
bw_facts facts_of(const bw_event& event) {
  bw_facts facts = {};
  facts.prog_type = event.prog_type;
  facts.attach_type = event.attach_type;
  facts.signer = event.signer;
  facts.signature = event.signature;
  facts.origin = event.origin;
  facts.time = event.wall_time;
  for (size_t trait = 0; trait < BW_TRAITS; trait++)
    facts.traits[trait] = (event.traits >> trait) & 1;
  set_text(facts.names[BW_NAME_TARGET], event.attach_name);
  if (const auto family = family_of_record(event)) {
    facts.stage = BW_STAGE_ATTACH;
    facts.family = static_cast<uint8_t>(*family);
    set_text(facts.names[BW_NAME_PLACE], event.place);
  }
  if (event.exe[0] == '/')  // else no path: see bw_event.exe
    set_name(facts.names[BW_NAME_EXE], event.exe, ::strnlen(event.exe, sizeof(event.exe)));
  set_name(facts.names[BW_NAME_CGROUP], event.cgroup, ::strnlen(event.cgroup, BW_NAME_SIZE));
  set_name(facts.names[BW_NAME_UID], &event.uid, sizeof(event.uid));
  if (!hex_or_empty(event.digest).empty())
    set_name(facts.names[BW_NAME_DIGEST], event.digest, BW_DIGEST_SIZE);
  return facts;
}

// For a denial by default: the rules that would have admitted it, had it brought what they ask for.
std::vector<std::string> almost(const bw_event& event, const bw_image* image) {
  std::vector<std::string> lines;
  if (image == nullptr || event.allow != 0 || event.cause != BW_CAUSE_DEFAULT) return lines;
  // No rule could have named it.
  if (is_attachment_record(event) && !family_of_record(event)) return lines;
  for (const auto& miss : policy::near_misses(*image, facts_of(event))) {
    const bw_rule& rule = image->rules[miss.rule];
    lines.push_back("rule '" + kernel_text(rule.name, sizeof(rule.name)) + "' (line " +
                    std::to_string(rule.line) + ") allows it, but asks for " + miss.reason);
  }
  return lines;
}

void read_decision(const bw_event& record, const bw_image* image, Event& event) {
  const auto decision = [](uint8_t allow) {
    return word_of(allow != 0 ? Decision::allow : Decision::deny);
  };
  event.hook = word_of_number<bw_hook>(record.hook);
  event.decision = decision(record.allow);
  if (record.hook == BW_HOOK_STAGED) {
    event.active_decision = decision(record.active_allow);
    event.active_refused = record.active_refused != 0;
  }
  event.refused = record.refused != 0;
  event.error = record.error;
  event.mode = word_of_number<bw_mode>(record.mode);
  event.rule = rule_name(record, image);
  if (const bw_rule* rule = rule_of(record, image)) event.rule_line = rule->line;
  event.cause = word_of_number<bw_cause>(record.cause);
  event.almost = almost(record, image);
  event.generation = record.generation;
  event.policy_version = record.policy_version;
  event.policy_digest = hex(record.policy_digest);
}

std::string verifier_name(uint8_t verifier) {
  return verifier == BW_VERIFIER_KERNEL      ? "kernel"
         : verifier == BW_VERIFIER_BPFWARDEN ? "bpfwarden"
                                             : "";
}

void read_program(const bw_event& record, const bw_image* image, Event& event) {
  event.signature = word_of_number<bw_signature>(record.signature);
  event.signer = signer_name(record, image);
  event.key_serial = record.key_serial;
  event.wanted_key = wanted_key(record);
  event.verified_by = verifier_name(record.verifier);
  event.origin = word_of_number<bw_origin>(record.origin);
  event.attach = attach_text(record);
  event.route = word_of_number<bw_route>(record.route);
  if (record.route == BW_ROUTE_UNJUDGED)
    event.system_call = kernel_text(record.place, sizeof(record.place));
  if (record.hook == BW_HOOK_OWN) event.object = kernel_text(record.place, sizeof(record.place));
  if (record.hook == BW_HOOK_HARDEN)
    event.object = policy::hardening_text(static_cast<uint32_t>(record.place[0]));
  event.program = kernel_text(record.program_name, sizeof(record.program_name));
  event.program_id = record.program_id;
  event.loader_id = record.loader_id;
  event.digest = hex_or_empty(record.digest);
  event.loader_digest = hex_or_empty(record.loader_digest);
  event.sleepable = has_trait(record, BW_TRAIT_SLEEPABLE);
  event.delegated = has_trait(record, BW_TRAIT_DELEGATED);
  event.gpl_compatible = has_trait(record, BW_TRAIT_GPL_COMPATIBLE);
}

void read_process(const bw_event& record, Event& event) {
  event.pid = record.pid;
  event.tgid = record.tgid;
  event.uid = record.uid;
  event.comm = kernel_text(record.comm, sizeof(record.comm));
  event.exe = kernel_text(record.exe, sizeof(record.exe));
  event.cgroup = kernel_text(record.cgroup, sizeof(record.cgroup));
  event.cgroup_id = record.cgroup_id;
}

}  // namespace

Event from_record(const bw_event& record, const bw_image* image) {
  Event event;
  event.sequence = record.sequence;
  event.count = std::max<uint64_t>(record.count, 1);
  event.time = wall_time(record.time_ns);
  event.time_ns = record.time_ns;
  event.wall_time = record.wall_time;
  read_decision(record, image, event);
  read_program(record, image, event);
  read_process(record, event);
  return event;
}

bool is_refusal(const Event& event) {
  return event.decision == Decision::deny && event.hook != BW_HOOK_STAGED;
}

bool is_attachment(const Event& event) {
  return event.hook == BW_HOOK_ATTACH ||
         (event.hook == BW_HOOK_STAGED && !event.route.text.empty());
}

bool is_feature_probe(const Event& event) {
  const bool is_load = event.hook == BW_HOOK_PROG_LOAD || event.hook == BW_HOOK_PROG;
  return is_load && policy::is_feature_probe(recorded_load_of(event));
}

policy::RecordedLoad recorded_load_of(const Event& event) {
  policy::RecordedLoad load;
  load.attach = event.attach;
  load.program = event.program;
  load.signer = event.signer;
  load.digest = event.digest;
  if (event.signature.known)
    load.signature = static_cast<policy::Signature>(*event.signature.known);
  return load;
}

bool is_touch(const Event& event) { return event.hook == BW_HOOK_OWN; }

bool is_look(const Event& event) {
  return is_touch(event) && event.error == 0 &&
         (event.route == BW_ROUTE_OWN_BY_NUMBER || event.route == BW_ROUTE_OWN_BY_PIN);
}

bool is_after_move(const Event& event) {
  return event.route == BW_ROUTE_DEVICE_RENAMED || event.route == BW_ROUTE_DEVICE_MOVED ||
         event.route == BW_ROUTE_DEVICE_JOINED;
}

std::optional<Micros> event_time(const Event& event) {
  if (event.time) return event.time;
  constexpr int64_t most = int64_t{1} << 40;
  if (!event.wall_time || *event.wall_time <= 0 || *event.wall_time > most) return std::nullopt;
  return *event.wall_time * kMicrosPerSecond;
}

}  // namespace bpfwarden::loader

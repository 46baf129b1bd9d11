#include "loader/events/events.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "keyring/x509.h"
#include "loader/events/denial_summaries.h"
#include "loader/text/kernel_text.h"
#include "loader/text/moment.h"
#include "policy/answers/reasons.h"
#include "policy/language/attach_pattern.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

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

std::string hook_name(uint8_t hook) {
  switch (hook) {
    case BW_HOOK_PROG_LOAD:
      return "bpf_prog_load";
    case BW_HOOK_PROG:
      return "bpf_prog";
    case BW_HOOK_MAP_CREATE:
      return "bpf_map_create";
    case BW_HOOK_KEY:
      return "key_permission";
    case BW_HOOK_STAGED:
      return "staged";
    case BW_HOOK_ATTACH:
      return "attach";
    case BW_HOOK_TOKEN_CREATE:
      return "token-create";
    case BW_HOOK_SUM:
      return "sum";
    default:
      return "observed";
  }
}

bool is_program_event(const bw_event& event) {
  return event.hook == BW_HOOK_PROG_LOAD || event.hook == BW_HOOK_PROG ||
         event.hook == BW_HOOK_STAGED || event.hook == BW_HOOK_ATTACH;
}

// A difference of the staged policy may be about one, too.
bool is_attachment(const bw_event& event) {
  return event.hook == BW_HOOK_ATTACH ||
         (event.hook == BW_HOOK_STAGED && event.route != BW_ROUTE_NONE);
}

// The program was attached before.
bool is_after_move(const bw_event& event) {
  return event.route == BW_ROUTE_DEVICE_RENAMED || event.route == BW_ROUTE_DEVICE_MOVED ||
         event.route == BW_ROUTE_DEVICE_JOINED;
}

std::optional<size_t> event_family(const bw_event& event) {
  if (!is_attachment(event) || event.family == 0 || event.family > policy::attach_families().size())
    return std::nullopt;
  return event.family - 1;
}

std::string place_text(const bw_event& event) {
  return event.route == BW_ROUTE_UNJUDGED ? "" : kernel_text(event.place, sizeof(event.place));
}

std::string attach_text(const bw_event& event) {
  if (!is_program_event(event)) return "";
  std::string target = kernel_text(event.attach_name, sizeof(event.attach_name));
  const auto family = event_family(event);
  if (!family) return policy::describe_attach_point(event.prog_type, event.attach_type, target);
  if (policy::has_owned_targets(*family)) target = policy::target_of_facts(target);
  if (target.empty()) target = policy::kUnknownTarget;
  return policy::attach_point_text({*family, std::move(target), place_text(event)});
}

// Which call it was, by a way that no hook judged.
std::string system_call_text(const bw_event& event) {
  return event.route == BW_ROUTE_UNJUDGED ? kernel_text(event.place, sizeof(event.place)) : "";
}

nlohmann::json or_null(std::string text) {
  return text.empty() ? nlohmann::json() : nlohmann::json(std::move(text));
}

std::string hex_or_empty(std::span<const uint8_t> bytes) {
  for (const uint8_t byte : bytes)
    if (byte != 0) return keyring::hex(bytes);
  return "";
}

uint64_t clock_ns(clockid_t clock) {
  timespec now = {};
  ::clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// By the wall clock as it stands now.
std::string time_text(uint64_t boot_ns) {
  const uint64_t wall_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) + boot_ns;
  return utc_text(static_cast<Micros>(wall_ns / 1'000));
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
  if (const auto family = event_family(event)) {
    facts.stage = BW_STAGE_ATTACH;
    facts.family = static_cast<uint8_t>(*family);
    set_text(facts.names[BW_NAME_PLACE], event.place);
  }
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
  if (is_attachment(event) && !event_family(event)) return lines;  // no rule could have named it
  for (const auto& miss : policy::near_misses(*image, facts_of(event))) {
    const bw_rule& rule = image->rules[miss.rule];
    lines.push_back("rule '" + kernel_text(rule.name, sizeof(rule.name)) + "' (line " +
                    std::to_string(rule.line) + ") allows it, but asks for " + miss.reason);
  }
  return lines;
}

std::string signature_text(const bw_event& event, const bw_image* image) {
  const std::string signer = signer_name(event, image);
  std::string text(policy::signature_name(static_cast<bw_signature>(event.signature)));
  if (!signer.empty()) return text + ", signed by " + signer;
  return event.signature == BW_SIGNATURE_UNSIGNED
             ? text
             : text + ", signed by a key that the policy does not know";
}

std::string reason_text(const bw_event& event, const bw_image* image) {
  const bw_rule* rule = rule_of(event, image);
  if (rule != nullptr)
    return "rule '" + rule_name(event, image) + "' (line " + std::to_string(rule->line) + ")";
  if (event.rule != BW_NO_RULE) return "rule " + rule_name(event, image);
  return std::string(policy::cause_text(static_cast<bw_cause>(event.cause)));
}

std::string verdict_word(const bw_event& event) {
  if (event.hook == BW_HOOK_OBSERVED) return "REJECTED BY THE KERNEL";
  if (event.hook == BW_HOOK_STAGED)
    return std::string("the staged policy would ") +
           (event.allow != 0              ? "allow"
            : event.mode == BW_MODE_AUDIT ? "report"
                                          : "REFUSE") +
           " what the active one " +
           (event.active_refused != 0 ? "refused"
            : event.active_allow != 0 ? "allowed"
                                      : "let through");
  if (event.refused != 0) return "DENIED";
  if (event.allow == 0 && is_after_move(event)) return "NO LONGER ALLOWED, but still attached";
  return event.allow != 0 ? "allowed" : "would be DENIED (audit mode)";
}

std::string subject_text(const bw_event& event) {
  if (event.hook == BW_HOOK_MAP_CREATE) return "a map";
  if (event.hook == BW_HOOK_TOKEN_CREATE) return "a BPF token";
  if (event.hook == BW_HOOK_KEY) return "key " + std::to_string(event.key_serial);
  if (event.hook == BW_HOOK_OBSERVED) return "a signed program";
  if (event.hook == BW_HOOK_SUM) return "what so many tried that no more is known of it";
  const std::string name = kernel_text(event.program_name, sizeof(event.program_name));
  std::string program = attach_text(event) + (name.empty() ? "" : " program '" + name + "'");
  if (!is_attachment(event)) return program;
  if (event.route == BW_ROUTE_DEVICE_RENAMED) return program + ", whose device was renamed";
  if (event.route == BW_ROUTE_DEVICE_MOVED)
    return program + ", whose device went into another network namespace";
  if (event.route == BW_ROUTE_DEVICE_JOINED)
    return program + ", which came with a bond, a shared block or an action that the device joined";
  if (event.route == BW_ROUTE_UNJUDGED)
    return program + ", by a way that no hook judged, " + system_call_text(event);
  if (event.cause == BW_CAUSE_ATTACH_RACE && event.error != 0)
    return "reaching for the attachment of " + program;
  return (event.route == BW_ROUTE_TEST_RUN ? "running " : "attaching ") + program + " by " +
         std::string(policy::route_name(static_cast<bw_route>(event.route)));
}

std::string wanted_key(const bw_event& event) {
  const size_t length = std::min<size_t>(event.wanted_key_length, sizeof(event.wanted_key));
  return keyring::hex(std::span(event.wanted_key).first(length));
}

std::string what_happened(const bw_event& event) {
  if (event.hook == BW_HOOK_SUM) return verdict_word(event) + ": " + subject_text(event);
  const std::string exe = kernel_text(event.exe, sizeof(event.exe));
  std::string text = verdict_word(event) + ": " + subject_text(event) + ", by " +
                     kernel_text(event.comm, sizeof(event.comm)) + " (" +
                     (exe.empty() ? "" : exe + ", ") + "pid " + std::to_string(event.tgid) +
                     ", uid " + std::to_string(event.uid) + ")";
  if (event.error != 0) text += std::string(", who got ") + ::strerrorname_np(event.error);
  if ((event.cause == BW_CAUSE_ATTACH_RACE || event.cause == BW_CAUSE_UNJUDGED_ROUTE) &&
      event.refused != 0 && event.error == 0)
    text += ", who was killed";
  return text;
}

}  // namespace

const bw_image* PolicyNames::image(uint64_t generation) {
  const auto known = images_.find(generation);
  if (known != images_.end()) return known->second.get();
  auto found = read_generation(pins_.generations.get(), generation);
  auto& slot = images_[generation];
  if (found && *found) slot = std::move((*found)->image);
  return slot.get();
}

nlohmann::json event_to_json(const bw_event& event, const bw_image* image) {
  const bw_rule* rule = rule_of(event, image);
  return {
      {"sequence", event.sequence},
      {"count", event.count},
      {"time", time_text(event.time_ns)},
      {"time_ns", event.time_ns},
      {"hook", hook_name(event.hook)},
      {"decision", event.allow != 0 ? "allow" : "deny"},
      {"refused", event.refused != 0},
      {"errno", event.error},
      {"mode", policy::mode_name(static_cast<bw_mode>(event.mode))},
      {"rule", or_null(rule_name(event, image))},
      {"rule_line", rule != nullptr ? nlohmann::json(rule->line) : nlohmann::json()},
      {"cause", policy::cause_name(static_cast<bw_cause>(event.cause))},
      {"signature", policy::signature_name(static_cast<bw_signature>(event.signature))},
      {"origin", policy::origin_name(static_cast<bw_origin>(event.origin))},
      {"signer", or_null(signer_name(event, image))},
      {"key_serial", event.key_serial},
      {"attach", or_null(attach_text(event))},
      {"system_call", or_null(system_call_text(event))},
      {"route", or_null(std::string(policy::route_name(static_cast<bw_route>(event.route))))},
      {"almost", almost(event, image)},
      {"program", kernel_text(event.program_name, sizeof(event.program_name))},
      {"program_id", event.program_id},
      {"loader_id", event.loader_id},
      {"digest", or_null(hex_or_empty(event.digest))},
      {"loader_digest", or_null(hex_or_empty(event.loader_digest))},
      {"pid", event.pid},
      {"tgid", event.tgid},
      {"uid", event.uid},
      {"comm", kernel_text(event.comm, sizeof(event.comm))},
      {"exe", or_null(kernel_text(event.exe, sizeof(event.exe)))},
      {"cgroup_id", event.cgroup_id},
      {"cgroup", or_null(kernel_text(event.cgroup, sizeof(event.cgroup)))},
      {"sleepable", has_trait(event, BW_TRAIT_SLEEPABLE)},
      {"delegated", has_trait(event, BW_TRAIT_DELEGATED)},
      {"gpl_compatible", has_trait(event, BW_TRAIT_GPL_COMPATIBLE)},
      {"wall_time", event.wall_time},
      {"active_decision", event.hook != BW_HOOK_STAGED ? nlohmann::json()
                          : event.active_allow != 0    ? "allow"
                                                       : "deny"},
      {"wanted_key", or_null(wanted_key(event))},
      {"generation", event.generation},
      {"policy_version", event.policy_version},
      {"policy_digest", keyring::hex(event.policy_digest)},
  };
}

std::string event_sentence(const bw_event& event, const bw_image* image) {
  return what_happened(event) + ": " + reason_text(event, image);
}

std::string event_to_text(const bw_event& event, const bw_image* image) {
  const std::string number = event.sequence != 0 ? "#" + std::to_string(event.sequence)
                                                 : std::to_string(event.count) + " times";
  std::string text = number + " " + what_happened(event);
  if (is_program_event(event)) text += "\n    signature: " + signature_text(event, image);
  text += "\n    why: " + reason_text(event, image);
  for (const auto& line : almost(event, image)) text += "\n         " + line;
  if (event.allow == 0)
    text += "\n    next: " + std::string(policy::next_step(static_cast<bw_cause>(event.cause)));
  return text + "\n";
}

Result<EventReader> EventReader::open(const PinnedMaps& pins, EventHandler handler) {
  auto events = EventRing::open(pins.events.get()), denials = EventRing::open(pins.denials.get());
  if (!events) return std::unexpected(std::move(events).error());
  if (!denials) return std::unexpected(std::move(denials).error());
  return EventReader(pins, std::move(handler), std::move(*events), std::move(*denials));
}

Status EventReader::wait(int timeout_ms) const {
  std::array<pollfd, 2> rings = {{{.fd = pins_->events.get(), .events = POLLIN, .revents = 0},
                                  {.fd = pins_->denials.get(), .events = POLLIN, .revents = 0}}};
  if (::poll(rings.data(), rings.size(), timeout_ms) < 0 && errno != EINTR)
    return fail_errno(errno, "cannot read the event stream");
  return {};
}

Status EventReader::read(int timeout_ms) {
  if (timeout_ms != 0)
    if (Status waited = wait(timeout_ms); !waited) return waited;
  for (;;) {
    const bw_event *event = events_.peek(), *denial = denials_.peek();
    if (event == nullptr && denial == nullptr) break;
    const bool is_denial =
        event == nullptr || (denial != nullptr && denial->sequence < event->sequence);
    handler_(is_denial ? *denial : *event);
    (is_denial ? denials_ : events_).take();
  }
  const auto sums = take_summed_denials(*pins_);
  if (!sums) return std::unexpected(sums.error());
  for (const bw_event& sum : *sums) handler_(sum);
  return {};
}

}  // namespace bpfwarden::loader

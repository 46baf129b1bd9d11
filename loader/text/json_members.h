// The words of all JSON that bpfwarden prints: each member's name, with one type and one meaning in
// every verb (docs/json.md is made of it). A name that is not listed here does not compile.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace bpfwarden::loader {

enum class MemberType : uint8_t {
  text,
  word,    // one of those in KnownMember::words
  whole,   // an integer
  number,  // any number
  truth,
  digest,  // "sha256:" and 64 hexadecimal digits
  time,    // RFC 3339, UTC
  texts,   // a list of texts
  held,    // an object or a list of them: json_shapes.cpp says of which
};

struct KnownMember {
  std::string_view name;
  MemberType type;
  bool may_be_null;
  std::string_view words;  // "audit enforce"
  std::string_view meaning;
};

// By name.
// clang-format off
inline constexpr auto kMembers = std::to_array<KnownMember>({
  {"abi", MemberType::whole, false, "", "of what the kernel part and the manager share"},
  {"about", MemberType::text, false, "", "what it is for, in a few words"},
  {"accepted", MemberType::whole, false, "", "how many warnings the policy accepts, which are not told"},
  {"active", MemberType::truth, false, "", "whether a policy is active"},
  {"active_decision", MemberType::word, true, "allow deny", "what the active policy said, where the staged one differs"},
  {"admission", MemberType::held, true, "", "what is known of its load; null: the load was never seen"},
  {"admitted", MemberType::truth, false, "", "whether the policy admits all of it"},
  {"after", MemberType::text, false, "", "as it is to be"},
  {"agreed", MemberType::whole, false, "", "decisions on which the staged policy agreed"},
  {"algorithm", MemberType::text, false, "", "of a key, as the kernel names it"},
  {"allow", MemberType::texts, false, "", "attach points that a rule allows"},
  {"allowed", MemberType::whole, false, "", "how many were allowed"},
  {"almost", MemberType::texts, false, "", "rules that would have admitted it, and what they ask for"},
  {"applied", MemberType::held, true, "", "the policy that is active now; null: none"},
  {"arguments", MemberType::held, false, "", "the first arguments of a system call, as numbers"},
  {"attach", MemberType::text, true, "", "the attach point, as a policy writes it: `xdp@eth0`, `fentry/tcp_connect`"},
  {"attach_more", MemberType::whole, false, "", "how many attach points are not listed"},
  {"attach_points", MemberType::texts, false, "", "attach points, as a policy writes them"},
  {"attach_seen", MemberType::text, false, "", "what the kernel sees, where libbpf has a name of its own"},
  {"attach_type", MemberType::text, true, "", "the kernel's name of how it is to be attached"},
  {"attached", MemberType::held, false, "", "attachments and runs that were recorded"},
  {"attachments", MemberType::held, false, "", "where a program is attached now"},
  {"before", MemberType::text, false, "", "as it was"},
  {"begins", MemberType::time, false, "", "from when a certificate holds"},
  {"bits", MemberType::whole, false, "", "of a key"},
  {"boot_changes", MemberType::held, false, "", "what to change for the next boot, by boot loader"},
  {"boot_loader", MemberType::text, false, "", "which boot loader"},
  {"boot_option", MemberType::text, true, "", "what the kernel's command line lacks; null: nothing"},
  {"boot_word", MemberType::word, false, "none off audit unknown", "what `bpfwarden=` says on the kernel's command line"},
  {"bpfwarden_version", MemberType::text, false, "", "of the program that wrote this"},
  {"bundle_version", MemberType::text, false, "", "of a bundle, for people"},
  {"bundles", MemberType::held, false, "", "bundles that were written"},
  {"by", MemberType::text, true, "", "who loaded it: an executable, or a command's name"},
  {"bytes", MemberType::whole, false, "", "how long it is"},
  {"ca", MemberType::truth, false, "", "whether it is the certificate of a CA"},
  {"can_enforce", MemberType::truth, false, "", "whether this kernel can enforce a policy"},
  {"canary", MemberType::held, true, "", "what became of a load that the policy denies"},
  {"capabilities", MemberType::held, false, "", "what a kernel has or lacks"},
  {"cause", MemberType::text, false, "", "`rule`, `default`, or what is denied whatever the rules say"},
  {"causes", MemberType::held, false, "", "each cause, in words"},
  {"certificate", MemberType::held, true, "", "the certificate that a bundle carries"},
  {"certificate_file", MemberType::text, false, "", "where the certificate, or the request for one, is"},
  {"certificates", MemberType::held, false, "", "certificates"},
  {"cgroup", MemberType::text, true, "", "path of a cgroup (v2), from the root of the hierarchy"},
  {"cgroup_id", MemberType::whole, false, "", "of a cgroup (v2)"},
  {"change", MemberType::word, false, "widened narrowed", "in which direction"},
  {"changed", MemberType::number, false, "", "classes of loads that get another answer"},
  {"changes", MemberType::texts, false, "", "what the policy before said otherwise, and what is widened"},
  {"classes", MemberType::number, false, "", "classes of loads that were told apart"},
  {"clean", MemberType::truth, false, "", "whether nothing is refused that is known"},
  {"code", MemberType::text, false, "", "of a diagnostic (docs/policy.md)"},
  {"column", MemberType::whole, true, "", "in the line, from 1"},
  {"comm", MemberType::text, false, "", "name of a thread or a process"},
  {"conditions", MemberType::texts, false, "", "whose loads they are; empty: whoever loads"},
  {"confirm_within", MemberType::whole, false, "", "seconds until the kernel goes back by itself; 0: it stays"},
  {"count", MemberType::whole, false, "", "how many it stands for"},
  {"counted", MemberType::truth, false, "", "whether a signature counts among those that are needed"},
  {"counters", MemberType::held, false, "", "numbers of events (docs/events.md)"},
  {"counts", MemberType::held, false, "", "how many, by what became of them"},
  {"coverage", MemberType::number, false, "", "percent of the rules that decided in a test"},
  {"covers", MemberType::text, false, "", "what a signature covers, in words"},
  {"decided", MemberType::whole, false, "", "decisions"},
  {"decided_by", MemberType::text, false, "", "the rule, or what else decided, in words"},
  {"decision", MemberType::word, false, "allow deny", "what the policy says, enforced or not"},
  {"decisions", MemberType::held, false, "", "what a policy says, program by program"},
  {"delegated", MemberType::truth, false, "", "loaded with a BPF token"},
  {"denied_programs", MemberType::held, false, "", "what was denied, most denials first"},
  {"denied_units", MemberType::held, false, "", "who was denied something, most denials first"},
  {"detail", MemberType::text, true, "", "more about it"},
  {"diagnostics", MemberType::held, false, "", "what is wrong with a file, and where"},
  {"differed", MemberType::whole, false, "", "decisions on which the staged policy differed"},
  {"digest", MemberType::digest, true, "", "of a program's instructions"},
  {"digest_algorithm", MemberType::text, false, "", "of a signature"},
  {"digests", MemberType::texts, false, "", "digests that a rule names"},
  {"disassembly", MemberType::text, false, "", "instructions, as llvm-objdump prints them"},
  {"do", MemberType::texts, false, "", "what to do about it, the best first"},
  {"dropped", MemberType::whole, false, "", "events for which there was no room"},
  {"effect", MemberType::text, false, "", "what the decision means, in words"},
  {"encrypted", MemberType::truth, false, "", "whether a passphrase opens it"},
  {"ends", MemberType::time, true, "", "until when a certificate holds"},
  {"enforced", MemberType::truth, false, "", "whether anything of the policy is enforced"},
  {"entries", MemberType::whole, false, "", "in a table"},
  {"errno", MemberType::whole, false, "", "the error's number; 0: none"},
  {"error", MemberType::held, false, "", "what went wrong: then there is no result"},
  {"event", MemberType::held, false, "", "an event (docs/events.md)"},
  {"events", MemberType::held, false, "", "events; where it counts, how many"},
  {"excluded", MemberType::texts, false, "", "what was looked at, and is not the reason"},
  {"exe", MemberType::text, true, "", "executable, by its path on the host, or `memfd:NAME (deleted)`"},
  {"exit_status", MemberType::whole, false, "", "of the command (docs/exit.md)"},
  {"expired", MemberType::truth, false, "", "whether a certificate has ended"},
  {"failed", MemberType::whole, false, "", "tests that do not hold"},
  {"family", MemberType::text, false, "", "of the attach point: `fentry`"},
  {"feature_probes", MemberType::held, false, "", "loads of feature probes that were recorded"},
  {"file", MemberType::text, true, "", "path of a file"},
  {"files", MemberType::held, false, "", "files"},
  {"finding", MemberType::word, false, "ok limited missing", "whether it is there"},
  {"fingerprint", MemberType::digest, false, "", "of a certificate's DER form"},
  {"first", MemberType::time, true, "", "when it was seen first"},
  {"fixed", MemberType::held, false, "", "what no rule can allow"},
  {"formatted", MemberType::truth, false, "", "whether the file was written anew"},
  {"generated", MemberType::time, false, "", "when this was made"},
  {"generation", MemberType::whole, false, "", "of a policy in the kernel, from 1"},
  {"gpl_compatible", MemberType::truth, false, "", "of a program's license"},
  {"groups", MemberType::held, false, "", "decisions that change alike"},
  {"header", MemberType::held, false, "", "settings of a policy that differ"},
  {"help", MemberType::text, false, "", "what a metric means"},
  {"hint", MemberType::text, true, "", "what can be done about it"},
  {"hook", MemberType::text, false, "", "where it was seen (docs/events.md)"},
  {"hooks", MemberType::texts, false, "", "hooks that are attached"},
  {"hooks_expected", MemberType::whole, false, "", "hooks that should be"},
  {"hooks_loaded", MemberType::truth, false, "", "whether the hooks were loaded and attached now"},
  {"hooks_missing", MemberType::texts, false, "", "hooks that are gone"},
  {"host", MemberType::text, true, "", "name of the machine"},
  {"images", MemberType::texts, false, "", "files of a compiled policy, one for each kernel part that can read it"},
  {"initramfs", MemberType::held, true, "", "which have not the confirmed policy; null: each has it"},
  {"instructions", MemberType::whole, false, "", "how many a program has"},
  {"is_normal", MemberType::truth, false, "", "whether the file was in the normal form"},
  {"issuer", MemberType::text, true, "", "who issued a certificate; null: nobody whom the policy names"},
  {"jited", MemberType::truth, false, "", "compiled to the machine's instructions"},
  {"judged_at", MemberType::time, true, "", "the time by which rules with dates were judged; null: no rule judges it"},
  {"kept_rules", MemberType::whole, false, "", "rules of the policy before"},
  {"kernel", MemberType::text, true, "", "release of the kernel"},
  {"kernel_part", MemberType::held, false, "", "which version of the kernel part decides"},
  {"kernel_verdict", MemberType::word, true, "verified unsigned other", "the kernel's own word on a signature"},
  {"kernels", MemberType::text, false, "", "which kernels ask for it"},
  {"key_file", MemberType::text, false, "", "where the private key is"},
  {"key_serial", MemberType::whole, false, "", "of the key object that verified; 0: none is known"},
  {"keyring", MemberType::whole, true, "", "serial of the sealed keyring; null: it is not published"},
  {"kind", MemberType::text, false, "", "which kind: of a bundle `loader` or `program`, of a unit `unit`, `exe` or `comm`"},
  {"kinds", MemberType::whole, false, "", "kinds of refusals that there are, listed or not"},
  {"labels", MemberType::held, false, "", "of a sample"},
  {"lacks_attach", MemberType::truth, false, "", "whether only an attachment can tell"},
  {"lanes", MemberType::held, false, "", "by what became of them, how many in each step of time"},
  {"last", MemberType::time, true, "", "when it was seen last"},
  {"last_hour", MemberType::held, false, "", "what became of the last 60 minutes"},
  {"license", MemberType::text, false, "", "of a program"},
  {"line", MemberType::whole, true, "", "in a file, from 1"},
  {"link_id", MemberType::whole, false, "", "of a link; 0: attached without one"},
  {"link_type", MemberType::text, false, "", "type of a link, as bpftool names it"},
  {"load_time", MemberType::time, false, "", "when it was loaded"},
  {"load_time_ns", MemberType::whole, false, "", "likewise, CLOCK_BOOTTIME"},
  {"loader_digest", MemberType::digest, true, "", "of the signed loader that loaded it"},
  {"loader_id", MemberType::whole, false, "", "of the signed loader that loaded it; 0: none"},
  {"log_allowed_per_second", MemberType::whole, true, "", "events of what is allowed; null: no limit"},
  {"map_count", MemberType::whole, false, "", "maps that a program uses"},
  {"maps", MemberType::texts, false, "", "names of maps"},
  {"matrix", MemberType::held, false, "", "loads by who vouches and by family"},
  {"message", MemberType::text, false, "", "what is wrong"},
  {"metadata_bytes", MemberType::whole, false, "", "length of a bundle's metadata"},
  {"metadata_digest", MemberType::digest, true, "", "of a bundle's metadata"},
  {"metrics", MemberType::held, false, "", "metrics (docs/metrics.md)"},
  {"missing", MemberType::whole, false, "", "events between these, by their numbers"},
  {"mode", MemberType::word, false, "audit enforce", "of a policy, or in force for a decision"},
  {"name", MemberType::text, false, "", "of what the object is about; of a program: `program`, of a policy: `policy`"},
  {"near_misses", MemberType::held, false, "", "rules that would have admitted it"},
  {"network_namespace", MemberType::text, true, "", "of the device; null: the caller's own"},
  {"never_decided", MemberType::texts, false, "", "rules that decided in no test"},
  {"next", MemberType::text, true, "", "a command, or what to do, next"},
  {"not_admitted", MemberType::held, false, "", "what was dropped: loads that the policy does not admit, and why"},
  {"not_asked", MemberType::number, false, "", "classes of loads that were not asked about"},
  {"notes", MemberType::texts, false, "", "what a reader should know"},
  {"object", MemberType::text, true, "", "of bpfwarden's own: its kind and name"},
  {"observed", MemberType::whole, false, "", "signatures that the kernel refused by itself"},
  {"of_uid", MemberType::whole, false, "", "entries of that user"},
  {"ok", MemberType::truth, false, "", "whether it is as it should be"},
  {"origin", MemberType::word, true, "user loader kernel resident", "whence a program comes"},
  {"other_rule", MemberType::number, false, "", "classes of loads with the same answer by another rule"},
  {"others", MemberType::held, false, "", "who else refuses; in lists, the sum of what is not listed"},
  {"outcome", MemberType::text, false, "", "what became of it"},
  {"outside", MemberType::whole, false, "", "events before --since or after --until"},
  {"passed", MemberType::held, false, "", "rules that were passed over, and why"},
  {"pid", MemberType::whole, false, "", "the thread, as the kernel counts; its process is `tgid`"},
  {"pin", MemberType::text, true, "", "where it is pinned"},
  {"pins", MemberType::texts, false, "", "where it, or a link of it, is pinned"},
  {"place", MemberType::text, true, "", "where in the policy a rule goes"},
  {"policies", MemberType::held, false, "", "policies that decided"},
  {"policy", MemberType::text, false, "", "name of a policy"},
  {"policy_digest", MemberType::digest, true, "", "of a policy with its certificates"},
  {"policy_signatures", MemberType::held, false, "", "of a compiled policy"},
  {"policy_text", MemberType::text, true, "", "text of a policy, or of a part of one"},
  {"policy_version", MemberType::whole, true, "", "version of a policy"},
  {"possible", MemberType::texts, false, "", "what can be the reason, the likeliest first"},
  {"postponed", MemberType::whole, false, "", "loads that are just being verified"},
  {"preflight", MemberType::held, false, "", "what a policy would refuse"},
  {"probe", MemberType::truth, false, "", "a feature probe"},
  {"probes", MemberType::held, false, "", "of `counts`, feature probes"},
  {"probes_refused", MemberType::whole, false, "", "of `refused`, feature probes"},
  {"probes_would_deny", MemberType::whole, false, "", "of `would_deny`, feature probes"},
  {"problem", MemberType::text, false, "", "why it cannot be read"},
  {"problems", MemberType::held, false, "", "what went wrong besides, as `error`"},
  {"process", MemberType::held, true, "", "the process that was asked about"},
  {"processes", MemberType::held, false, "", "who holds it"},
  {"program", MemberType::text, false, "", "name of a program"},
  {"program_count", MemberType::whole, false, "", "how many programs"},
  {"program_id", MemberType::whole, true, "", "the kernel's id of a program; 0 or null: none is known"},
  {"program_type", MemberType::text, false, "", "type of a program, as libbpf and bpftool name it"},
  {"programs", MemberType::held, true, "", "programs; where it counts, how many"},
  {"public_key", MemberType::digest, false, "", "digest of a public key"},
  {"quiet", MemberType::whole, false, "", "decisions by rules with `log = false`"},
  {"reason", MemberType::text, false, "", "why, in words"},
  {"reasons", MemberType::texts, false, "", "why, in words"},
  {"received", MemberType::whole, false, "", "events that are counted"},
  {"recipes", MemberType::held, false, "", "policies for what is often met"},
  {"recorded", MemberType::held, false, "", "loads that were recorded"},
  {"recording", MemberType::held, false, "", "about the recording itself"},
  {"refusals", MemberType::held, false, "", "refusals that repeat each other together, the latest first"},
  {"refused", MemberType::truth, false, "", "whether the caller got an errno; where it counts, how many did"},
  {"rejected", MemberType::whole, false, "", "by the kernel itself, before any policy"},
  {"remedy", MemberType::text, true, "", "what to change"},
  {"resident_count", MemberType::whole, false, "", "programs from before the first policy"},
  {"residents", MemberType::held, true, "", "programs from before the first policy"},
  {"returned", MemberType::truth, false, "", "whether the kernel went back by itself"},
  {"revoked", MemberType::held, false, "", "what is refused because its key is revoked"},
  {"room", MemberType::whole, false, "", "entries that a table can have"},
  {"route", MemberType::text, true, "", "by which way it was to be attached (docs/events.md)"},
  {"rows", MemberType::held, false, "", "of a table"},
  {"rule", MemberType::text, true, "", "name of the rule; null: none decided"},
  {"rule_count", MemberType::whole, false, "", "rules of a policy"},
  {"rule_line", MemberType::whole, true, "", "its line in the policy"},
  {"rule_text", MemberType::text, true, "", "a rule to be pasted into a policy"},
  {"rules", MemberType::held, false, "", "rules that are added"},
  {"running", MemberType::held, false, "", "programs that run"},
  {"samples", MemberType::held, false, "", "of a metric"},
  {"script", MemberType::text, false, "", "for a shell"},
  {"sealed", MemberType::word, false, "no now at-confirm at-boot", "whether the host is sealed, or when it will be"},
  {"sealed_since", MemberType::time, true, "", "null: it is not sealed"},
  {"seals", MemberType::truth, false, "", "whether the policy seals the host once it is confirmed"},
  {"section", MemberType::text, false, "", "name of an ELF section"},
  {"self_check", MemberType::truth, false, "", "whether a bundle has a loader for Linux 6.18 to 7.2"},
  {"sequence", MemberType::whole, false, "", "of an event, from 1; 0 for a sum of denials"},
  {"serial", MemberType::text, false, "", "of a certificate, in hexadecimal"},
  {"setting", MemberType::text, false, "", "of a policy"},
  {"settings", MemberType::held, false, "", "settings that decide, and differ"},
  {"severity", MemberType::word, false, "error warning", "of a diagnostic"},
  {"shell", MemberType::word, false, "bash zsh fish", "for which shell"},
  {"signature", MemberType::word, true, "unsigned prog-only prog-used-maps", "what a signature covers"},
  {"signatures", MemberType::held, false, "", "that a bundle carries"},
  {"signatures_needed", MemberType::whole, false, "", "how many have to sign a policy, with different keys"},
  {"signed_by", MemberType::texts, false, "", "keys that a rule names"},
  {"signed_digest", MemberType::digest, false, "", "of what a signature is over"},
  {"signed_enough", MemberType::truth, false, "", "whether as many have signed as are needed"},
  {"signer", MemberType::text, true, "", "a key, by the policy's name for it: who signed; null: nobody whom it knows"},
  {"signers", MemberType::whole, false, "", "how many signed"},
  {"since", MemberType::time, true, "", "from when"},
  {"sleepable", MemberType::truth, false, "", "of a program"},
  {"sources", MemberType::text, false, "", "what was read, in words"},
  {"stage", MemberType::word, false, "load attach", "at which of the two a policy decides"},
  {"staged", MemberType::held, true, "", "the staged policy; where it counts, on how many it differed"},
  {"stages", MemberType::held, false, "", "what is decided at load, and at attach"},
  {"stale", MemberType::texts, false, "", "kernels whose initramfs is older than the confirmed policy"},
  {"standing", MemberType::text, false, "", "who vouches for a program"},
  {"start", MemberType::time, false, "", "of a timeline"},
  {"status", MemberType::held, true, "", "what `status` prints; null: not known"},
  {"step_seconds", MemberType::whole, false, "", "of a timeline"},
  {"subject", MemberType::text, true, "", "of a certificate"},
  {"subject_key_id", MemberType::text, false, "", "of a certificate, in hexadecimal"},
  {"summary", MemberType::held, false, "", "how many programs, by their standing"},
  {"summed", MemberType::whole, false, "", "denials that are told in sums"},
  {"system_call", MemberType::text, true, "", "its number and first two arguments"},
  {"system_call_number", MemberType::whole, false, "", "of a system call"},
  {"tables", MemberType::held, false, "", "tables of the kernel part, and how full they are"},
  {"take_away", MemberType::texts, false, "", "commands that take a program away"},
  {"taken_away", MemberType::text, true, "", "what revocations of the policy take away, in words"},
  {"target_program_id", MemberType::whole, false, "", "the program that it traces or replaces; 0: none"},
  {"tests", MemberType::held, false, "", "tests of a policy"},
  {"tgid", MemberType::whole, false, "", "the process, as people count"},
  {"threads", MemberType::held, false, "", "what changes for processes with threads, which attach"},
  {"time", MemberType::time, true, "", "when"},
  {"time_ns", MemberType::whole, false, "", "likewise, CLOCK_BOOTTIME"},
  {"timeline", MemberType::held, false, "", "how many, step by step"},
  {"to_be_signed", MemberType::texts, false, "", "files whose content is to be signed elsewhere"},
  {"tool", MemberType::text, false, "", "what made a bundle"},
  {"total", MemberType::whole, false, "", "rows, listed or not"},
  {"trust", MemberType::word, false, "signs issuer revoked", "what a certificate may do"},
  {"type", MemberType::word, false, "counter gauge", "of a metric"},
  {"uid", MemberType::whole, true, "", "a user"},
  {"unchanged", MemberType::truth, false, "", "whether this very policy was active already"},
  {"unit", MemberType::text, true, "", "of systemd; null: none"},
  {"units", MemberType::whole, false, "", "units that started it"},
  {"unjudged", MemberType::held, false, "", "programs that have become active and that no hook judged"},
  {"unreadable", MemberType::whole, false, "", "lines that are no events"},
  {"until", MemberType::time, true, "", "until when"},
  {"value", MemberType::number, false, "", "of a sample"},
  {"verified_by", MemberType::word, true, "kernel bpfwarden", "who has verified the signature, or refused it"},
  {"verified_instructions", MemberType::whole, false, "", "how many the verifier walked"},
  {"vouch", MemberType::text, false, "", "who vouches, in a report: `key:NAME`, `unknown-key`, `unsigned`, `unknown`"},
  {"wanted_key", MemberType::text, true, "", "id of the key that the kernel did not find (docs/events.md)"},
  {"warnings", MemberType::texts, false, "", "what should be looked at"},
  {"was_active", MemberType::truth, false, "", "whether there was something to take away"},
  {"was_staged", MemberType::truth, false, "", "whether a policy was staged"},
  {"ways", MemberType::held, false, "", "each way in which the kernel may see it"},
  {"what", MemberType::text, false, "", "what was tried, in words"},
  {"who", MemberType::text, false, "", "who tried it, in words"},
  {"why", MemberType::texts, false, "", "what decided, and which rules came near"},
  {"widening", MemberType::text, true, "", "what the policy admits that the one before did not, in a line"},
  {"widens", MemberType::truth, false, "", "whether a deny becomes an allow"},
  {"withdrawn", MemberType::text, false, "", "the certificate that is no longer trusted, for people"},
  {"withheld", MemberType::whole, false, "", "allowed decisions of which the policy wants no event"},
  {"witness", MemberType::held, false, "", "options of `explain` for a load that shows it"},
  {"would_change", MemberType::truth, false, "", "whether `apply` would change something"},
  {"would_deny", MemberType::whole, false, "", "how many were let through though the policy says no"},
  {"written", MemberType::truth, false, "", "whether files were written"},
});
// clang-format on

// Null where there is none.
[[nodiscard]] constexpr const KnownMember* find_member(std::string_view name) {
  const auto* found = std::ranges::find(kMembers, name, &KnownMember::name);
  return found == kMembers.end() ? nullptr : found;
}

// A name of the list, checked when it is compiled.
class Member {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): a literal becomes one.
  consteval Member(const char* name) : name_(name) {
    bool is_known = false;
    for (size_t i = 0; i < kMembers.size(); i++)
      is_known = is_known || kMembers[i].name == std::string_view(name);
    if (!is_known) throw "no member of json_members.h";
  }
  [[nodiscard]] const char* name() const { return name_; }

 private:
  const char* name_;
};

struct JsonPart {
  Member member;
  nlohmann::json value;
};

[[nodiscard]] nlohmann::json object_of(std::initializer_list<JsonPart> parts);
// Adds to an object.
void put(nlohmann::json& object, Member member, nlohmann::json value);

[[nodiscard]] nlohmann::json text_or_null(const std::string& text);
// Of a digest in hexadecimal, without its prefix; empty: null.
[[nodiscard]] nlohmann::json digest_or_null(const std::string& hex);
// Unix seconds, as RFC 3339; 0: null.
[[nodiscard]] nlohmann::json time_or_null(int64_t unix_seconds);

}  // namespace bpfwarden::loader

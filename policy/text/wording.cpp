#include "policy/text/wording.h"

#include <array>
#include <cstddef>

namespace bpfwarden::policy {
namespace {

struct CauseEntry {
  std::string_view name;
  CauseClass from;
  std::string_view what;
  std::string_view next;
};

// By enum bw_cause.
constexpr std::array<CauseEntry, BW_CAUSES> kCauses = {{
    {"rule", CauseClass::rules, "a rule of the policy decided",
     "Read the rule: if it is right, sign the program with a key that a rule admits; if not, "
     "change "
     "the rule and apply the policy."},
    {"default", CauseClass::rules, "no rule of the policy matched, so its default decided",
     "If the program is wanted, add a rule that names its attach point and the key that signs it, "
     "and apply the policy."},
    {"unknown-attach", CauseClass::derived,
     "the program or attach type is unknown to this version of bpfwarden",
     "Find out which program asks for it; if it is wanted, a bpfwarden as new as the kernel is "
     "needed."},
    {"missing-fact", CauseClass::guard,
     "the kernel part could not read a fact it needs, and denies rather than guesses",
     "Run `bpfwarden doctor`; if memory was short or the attach target has no BTF name, try again "
     "once that is mended."},
    {"unsigned-parts", CauseClass::guard,
     "the program carries a signature together with parts that it does not cover: CO-RE "
     "relocations, function or line information, or BTF",
     "Build it as a signed light skeleton, which carries none of them, and sign that."},
    {"lsm-bypass", CauseClass::guard,
     "an fmod_ret program on security_* would skip every security module, this one included",
     "Use an LSM program instead; no policy can allow this, so find out who loads it."},
    {"digest-changed", CauseClass::guard,
     "the instructions were changed after their signature was verified",
     "Treat it as an attack until its loader is found: a signed program must run exactly as it was "
     "signed."},
    {"target-changed", CauseClass::guard,
     "the program would be attached to another target than the one that was decided upon",
     "Treat it as an attack until its loader is found, and load the program again without "
     "anything else touching it."},
    {"kernel-load", CauseClass::guard,
     "the kernel was asked to load a program outside the run of an admitted loader",
     "Run the light skeleton's loader once, from a thread that shares its file table with nobody, "
     "after it was itself admitted."},
    {"writable-exclusive-map", CauseClass::derived,
     "a map that a signature covers was asked for in a form that stays writable (BPF_F_MMAPABLE)",
     "Create the loader's metadata map without BPF_F_MMAPABLE; a current libbpf does."},
    {"no-provenance", CauseClass::guard,
     "the program never passed this enforcer's load hook, and was not there before it either",
     "See `bpftool prog show` for how it came to be, and load it again through bpf(2)."},
    {"kernel-rejected", CauseClass::derived, "the kernel itself refused the signed program",
     "Check that the keyring which the loader names holds the signer's key; if it does, the file "
     "is "
     "not what was signed: get it again, or sign it with `bpfwarden sign`."},
    {"denied-digest", CauseClass::listed, "the policy's `deny-digests` names exactly this program",
     "Load a version that is not on the list; whoever put this one there knows why."},
    {"sealed-key", CauseClass::derived,
     "bpfwarden's own keyring, or a key in it, was to be changed or taken away",
     "Find out who wanted that; keys are changed in the policy, and `bpfwarden apply` makes a new "
     "keyring of it."},
    {"shared-files", CauseClass::attach_guard,
     "the caller shares its file descriptors with another thread or process, which could swap the "
     "program after it was judged",
     "Attach from a process with a single thread, such as `bpfwarden run FILE --attach` or "
     "`bpftool`; or give the rule multithreaded-attach = \"detect\"."},
    {"too-many-targets", CauseClass::attach_guard,
     "one attachment names more functions than are looked at",
     "Attach to fewer functions at once, in several links."},
    {"attach-race", CauseClass::attach_guard,
     "another program than the one that was judged was attached, or it was attached elsewhere: "
     "somebody swapped a file descriptor, or what lies in memory, meanwhile, and the process was "
     "killed; or somebody reached for its link, or for a process while it attaches, and got EPERM",
     "Treat it as an attack until its author has found who did; `bpfwarden inventory` shows "
     "whether the program is still attached."},
    {"token-denied", CauseClass::derived,
     "the policy admits no BPF tokens, with which user namespaces load programs",
     "Load the programs outside of the user namespace; or take bpf-tokens = \"deny\" out of the "
     "policy, and let rules with `delegated` say what may be loaded with one."},
    {"refused-before", CauseClass::guard,
     "the program was refused when it was loaded, and stays so while it lives",
     "Find out who still has it open; the refusal of its load, an event before this one, says "
     "why."},
    {"foreign-map", CauseClass::guard,
     "a signed loader's program uses a map that the loader's run did not make",
     "Treat it as an attack until whoever runs the loader is found: somebody meddles with its "
     "run."},
    {"table-full", CauseClass::guard,
     "a table of bpfwarden's has no room for another program, or for another map of "
     "a signed loader",
     "`bpfwarden status` says how full which table is and who holds it; end what loads them, and "
     "there is room again."},
    {"unjudged-route", CauseClass::guard,
     "a program was taken for use by a way that no hook of bpfwarden judged, and the process was "
     "killed",
     "`bpfwarden status` says whether all hooks are there, `bpfwarden inventory` where the program "
     "is; take it away there, and report the system call that the event names."},
    {"probe-grows", CauseClass::attach_guard,
     "a file of tracefs that appends probes to events was opened for writing, while the program is "
     "on such an event and would run at each of them",
     "See /sys/kernel/tracing/dynamic_events and `bpfwarden inventory`; attach it through the "
     "kernel's perf PMU, as libbpf does, where probes cannot be appended, and allow that by name."},
    {"own-object-touched", CauseClass::derived,
     "somebody other than bpfwarden reached for one of its own programs, maps, links or pins: on a "
     "sealed host that is refused, on others it is told",
     "Who lists all programs of the host comes by these as well; a writable descriptor of a map, a "
     "pin that was removed or renamed, or a program that was extended is to be treated as an "
     "attack until its author has explained it. `bpfwarden status` says whether all hooks are "
     "there."},
    {"warden-silent", CauseClass::derived,
     "the hook that decides was gone, so the guard of the sealed host refused",
     "Somebody has taken hooks away: `bpfwarden status` names them, and `bpfwarden why` who "
     "reached "
     "for them. A reboot brings them back with the confirmed policy."},
    {"order-refused", CauseClass::derived,
     "a policy was to take the place of the active one that those have not signed who may, or that "
     "is older",
     "`bpfwarden verify FOLDER` says who has signed it, `bpfwarden status` which version is "
     "active. "
     "Who was not to apply a policy here is to be asked why they did."},
    {"hardened", CauseClass::derived,
     "the policy's [harden] closes this: access to the kernel itself, or another one to boot",
     "If it is wanted, have it done at boot, before bpfwarden; or take the setting out of [harden] "
     "and apply the policy."},
    {"signature-rejected", CauseClass::guard,
     "bpfwarden, which verifies where the kernel cannot, has refused the signature",
     "The errno says why: ENOKEY: no key of the keyring has signed it; EKEYREJECTED: it is not "
     "over "
     "what is loaded; EAGAIN: too many loads at once, try again; E2BIG: too long; EPERM or EINVAL: "
     "the map is not frozen, somebody else has it, or there is none. `bpfwarden run FILE` loads it "
     "as it has to be."},
    {"signer-unseen", CauseClass::derived,
     "the kernel has skipped the programs that see who signed, as it does where tasks are "
     "interrupted in them, so the signature counts as nobody's",
     "Load it again: that is what EAGAIN asks for, and libbpf and `bpfwarden run` do so by "
     "themselves. Where it comes again and again, `bpfwarden status` says whether all hooks are "
     "there, and `bpfwarden_evidence_skipped_total` of `bpfwarden metrics` how often that is."},
}};

constexpr std::array<std::string_view, BW_ROUTES> kRoutes = {"",
                                                             "link-create",
                                                             "link-update",
                                                             "prog-attach",
                                                             "raw-tracepoint-open",
                                                             "test-run",
                                                             "map-update",
                                                             "perf-event",
                                                             "ioctl",
                                                             "setsockopt",
                                                             "netlink",
                                                             "iter-create",
                                                             "device-renamed",
                                                             "device-moved",
                                                             "device-joined",
                                                             "unjudged",
                                                             "by-number",
                                                             "by-pin",
                                                             "writable-by-number",
                                                             "writable-by-pin",
                                                             "pin-removed",
                                                             "pin-renamed",
                                                             "program-extended",
                                                             "map-bound",
                                                             "guard-outranked",
                                                             "setting-opened"};

constexpr std::array<std::string_view, BW_SIGNATURES> kSignatures = {"unsigned", "prog-only",
                                                                     "prog-used-maps"};
constexpr std::array<std::string_view, 4> kOrigins = {"user", "loader", "kernel", "resident"};
constexpr std::array<std::string_view, 2> kModes = {"audit", "enforce"};

template <size_t size>
std::string_view name_of(const std::array<std::string_view, size>& names, unsigned number) {
  return number < size ? names[number] : "unknown";
}

}  // namespace

std::string_view cause_text(bw_cause cause) {
  return cause < BW_CAUSES ? kCauses[cause].what : "the cause is unknown to this version";
}

CauseClass cause_class(bw_cause cause) {
  return cause < BW_CAUSES ? kCauses[cause].from : CauseClass::derived;
}

bool is_fixed(bw_cause cause) { return cause_class(cause) != CauseClass::rules; }

bool is_up_to_policy(bw_cause cause) {
  return !is_fixed(cause) || cause_class(cause) == CauseClass::listed;
}

bool is_guard(bw_cause cause) {
  const CauseClass from = cause_class(cause);
  return from == CauseClass::guard || from == CauseClass::attach_guard;
}

std::string fixed_denials() {
  std::string rows = "| cause | what no rule can allow |\n|---|---|\n";
  for (unsigned i = 0; i < BW_CAUSES; i++) {
    const auto cause = static_cast<bw_cause>(i);
    if (!is_fixed(cause)) continue;
    rows +=
        "| `" + std::string(cause_name(cause)) + "` | " + std::string(cause_text(cause)) + " |\n";
  }
  return rows;
}

std::string_view cause_name(bw_cause cause) {
  return cause < BW_CAUSES ? kCauses[cause].name : "unknown";
}

std::optional<bw_cause> cause_named(std::string_view name) {
  for (size_t i = 0; i < kCauses.size(); i++)
    if (kCauses[i].name == name) return static_cast<bw_cause>(i);
  return std::nullopt;
}

std::string_view next_step(bw_cause cause) {
  return cause < BW_CAUSES ? kCauses[cause].next
                           : "Use the bpfwarden that came with the kernel part in force.";
}

std::string_view signature_name(bw_signature signature) { return name_of(kSignatures, signature); }

std::string_view origin_name(bw_origin origin) { return name_of(kOrigins, origin); }

std::string_view route_name(bw_route route) { return name_of(kRoutes, route); }

std::string_view mode_name(bw_mode mode) { return name_of(kModes, mode); }

}  // namespace bpfwarden::policy

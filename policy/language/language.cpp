#include "policy/language/language.h"

#include "policy/language/words.h"

namespace bpfwarden::policy {
namespace {

using enum SettingType;

constexpr std::string_view kSince = "0.1";
constexpr std::string_view kSinceSeal = "0.2";
constexpr std::string_view kSinceKernels = "0.2";

Setting required(std::string_view name, SettingType type, std::string_view meaning,
                 std::string_view example, std::vector<std::string_view> words = {}) {
  return {name, type, true, "", meaning, example, kSince, std::move(words)};
}

Setting optional(std::string_view name, SettingType type, std::string_view standard,
                 std::string_view meaning, std::string_view example,
                 std::vector<std::string_view> words = {}) {
  return {name, type, false, standard, meaning, example, kSince, std::move(words)};
}

Setting since(std::string_view version, Setting setting) {
  setting.since = version;
  return setting;
}

Setting description(std::string_view example) {
  return optional("description", text, "none", "For people: up to 500 bytes.", example);
}

std::vector<Setting> policy_header() {
  return {
      required("schema", integer, "The version of this language: `1`.", "1"),
      required("name", text, "1 to 63 bytes; events and `status` show it.", "\"edge-fleet\""),
      description("\"Edge nodes, after the 2026 review\""),
      required("version", integer,
               "From 1. Only ever increases: an older policy does not replace a newer one.", "12"),
      required("mode", word,
               "`audit`: nothing is refused, events say what would have been. `enforce`: what is "
               "denied is refused with `EPERM`.",
               "\"audit\"", spellings(kModeWords)),
      required("default", word, "For programs that no rule matches. `allow` draws a warning.",
               "\"deny\"", spellings(kDefaultWords)),
      optional("multithreaded-attach", word, "deny",
               "Attachments by callers that share their file descriptors, as threads do. `deny`: "
               "refused. `detect`: let through, and looked at afterwards.",
               "\"detect\"", spellings(kSharedAttachWords)),
      optional("bpf-tokens", word, "allow",
               "BPF tokens, with which root of a user namespace loads programs (`delegated`). "
               "`deny`: none is made.",
               "\"deny\"", spellings(kTokenWords)),
  };
}

std::vector<Setting> policy_logging() {
  return {
      optional(
          "log-allowed", boolean, "true",
          "`false`: what is allowed is counted, but leaves no event. Denials always leave one, "
          "in audit mode too.",
          "false"),
      optional("log-allowed-per-second", integer, "no limit",
               "From 1. The most events of what is allowed in one second; `status` counts what is "
               "withheld.",
               "50"),
      optional("deny-digests", texts, "none",
               "Programs that are denied before any rule is looked at: SHA-256 of their "
               "instructions.",
               "[\"sha256:0123…\"]"),
  };
}

std::vector<Setting> policy_tables() {
  return {
      optional("accept", texts, "none",
               "Warnings of `check` that are meant so, wherever they are drawn: each by its code "
               "and, after a colon, why. `check` counts them.",
               "[\"default-allow: until the inventory is done\"]"),
      since(kSinceSeal, optional("harden", tables, "none",
                                 "`[harden]`: what is closed beside BPF: modules, kexec, raw "
                                 "access to the kernel.",
                                 "[harden]")),
      since(kSinceKernels,
            optional("accept-kernel", words, "nothing",
                     "What a kernel may lack, and the policy is enforced there all the same, see "
                     "[Kernels](#kernels).",
                     "[\"no-digests\"]", spellings(kKernelWeaknessWords))),
      optional("keys", tables, "none", "`[keys.NAME]`: whom the rules may trust.", "[keys.netops]"),
      optional("rules", tables, "none",
               "`[[rules]]`: at most 1,024, the first that matches decides.", "[[rules]]"),
  };
}

// Of the policy: what takes the place of this one.
std::vector<Setting> succession() {
  return {
      since(kSinceSeal,
            optional("seal", boolean, "false",
                     "`true`: once the policy is confirmed, and until the host reboots, only a "
                     "newer one that is signed takes its place.",
                     "true")),
      since(kSinceSeal,
            optional("policy-signed-by", texts, "nobody",
                     "Keys that may sign the next policy, by their `certificates` or `issuer`; a "
                     "whole keyring may not.",
                     "[\"release\"]")),
      since(kSinceSeal,
            optional("policy-signatures-needed", integer, "1",
                     "From 1 to 4: how many of them have to, each with another public key.", "2")),
  };
}

const std::vector<Setting>& policy_settings() {
  static const std::vector<Setting> settings = [] {
    std::vector<Setting> all = policy_header();
    for (const auto& part : {succession(), policy_logging(), policy_tables()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }();
  return settings;
}

const std::vector<Setting>& harden_settings() {
  static const std::vector<Setting> settings = {
      since(kSinceSeal,
            optional("modules", word, "allow",
                     "Kernel modules. `signed`: only those whose signature the kernel has "
                     "verified. `deny`: none is loaded any more, by whomever, nor by the kernel "
                     "for what needs one.",
                     "\"signed\"", spellings(kLoadingWords))),
      since(kSinceSeal,
            optional("kexec", word, "allow",
                     "Kernels to boot without the firmware, also after a crash. `signed`: only by "
                     "`kexec_file_load`, and only those whose signature the kernel has verified. "
                     "`deny`: none is loaded any more.",
                     "\"deny\"", spellings(kLoadingWords))),
      since(kSinceSeal, optional("dev-mem", word, "allow",
                                 "Opening `/dev/mem` and `/dev/port`, to read as well.", "\"deny\"",
                                 spellings(kDefaultWords))),
      since(kSinceSeal,
            optional("lockdown", texts, "none",
                     "What kernel lockdown would refuse, by its reasons; `integrity` is all that "
                     "`lockdown=integrity` refuses.",
                     "[\"integrity\", \"kcore\"]")),
  };
  return settings;
}

const std::vector<Setting>& key_settings() {
  static const std::vector<Setting> settings = {
      description("\"the network team's release key\""),
      optional("certificates", texts, "none",
               "X.509 certificates whose keys sign: files (PEM with any number, or DER) or folders "
               "of them (`*.pem`, `*.crt`, `*.cer`, `*.der`).",
               "[\"certs/netops.pem\"]"),
      optional("issuer", texts, "none",
               "CA certificates, files or folders: any key counts whose certificate one of them "
               "issued, directly or over intermediate ones, and came with the signature.",
               "[\"certs/ca.pem\"]"),
      optional("keyring", word, "none",
               "A keyring of the kernel, for loads that name it for their verification; `bpf` is "
               "`.bpf`, see [Kernels](#kernels). With `certificates` or `issuer`: only these, in "
               "that keyring. Without: every key in it.",
               "\"builtin\"", spellings(kKeyringWords)),
      optional("revoked", texts, "none",
               "Certificates that no longer count: `sha256:` and the fingerprint of one of "
               "`certificates`, or the file of one that `issuer` issued.",
               "[\"sha256:89ab…\", \"certs/stolen.pem\"]"),
  };
  return settings;
}

std::vector<Setting> actions() {
  return {
      optional("allow", texts, "one of the three", "The attach points that the rule allows.",
               "[\"xdp@eth*\", \"tcx/*\"]"),
      optional("deny", texts, "one of the three", "The attach points that the rule denies.",
               "[\"fmod_ret/security_*\"]"),
      optional("load-only", texts, "one of the three",
               "The attach points for which programs may be loaded (the kernel verifies them), but "
               "never attached or run: feature probes.",
               "[\"socket\", \"tp/*\"]"),
  };
}

std::vector<Setting> signers() {
  return {
      optional("signed-by", texts, "whoever, or nobody",
               "Keys. The rule matches programs that one of them signed.", "[\"netops\"]"),
      optional("signature", word, "see below",
               "The **least** that the signature must cover, weakest first.", "\"prog-used-maps\"",
               spellings(kSignatureWords)),
      optional("digests", texts, "any program",
               "Exact programs: SHA-256 of their instructions, as events show it.",
               "[\"sha256:0123…\"]"),
  };
}

std::vector<Setting> subjects() {
  return {
      optional("origin", word, "either",
               "`user`: loaded through bpf(2) by a process. `loader`: loaded by the run of an "
               "admitted loader.",
               "\"loader\"", spellings(kOriginWords)),
      optional("uid", integers, "any",
               "User ids of the loading process, in the first user namespace.", "[0, 998]"),
      optional("exe", texts, "any",
               "Executables of the loading process: absolute paths of at most 127 bytes, or "
               "beginnings of them with a `*`.",
               "[\"/usr/lib/systemd/*\"]"),
      optional("cgroup", texts, "any",
               "cgroups (v2) of the loading process, likewise, from the root of the hierarchy.",
               "[\"/system.slice/*\"]"),
  };
}

std::vector<Setting> programs() {
  return {
      optional("sleepable", boolean, "either", "Whether the program may sleep (`BPF_F_SLEEPABLE`).",
               "true"),
      optional("delegated", boolean, "either", "Whether it was loaded with a BPF token.", "false"),
      optional("license", word, "either", "The program's license, as the kernel reads it.",
               "\"gpl-compatible\"", spellings(kLicenseWords)),
      optional("not-before", date, "always",
               "The rule matches from here on. A date is its first second in UTC; with a time, a "
               "zone is needed.",
               "2027-01-01"),
      optional("expires", date, "never", "The rule matches no longer from here on.",
               "2027-06-30T12:00:00Z"),
  };
}

const std::vector<Setting>& rule_settings() {
  static const std::vector<Setting> settings = [] {
    std::vector<Setting> all = {
        required("name", text, "1 to 95 bytes, unique. Events and reports call the rule by it.",
                 "\"network team\""),
        description("\"ticket NET-212\""),
    };
    for (const auto& part : {actions(), signers(), subjects(), programs()})
      all.insert(all.end(), part.begin(), part.end());
    all.push_back(optional("mode", word, "the policy's",
                           "For this rule, whatever the policy's mode.", "\"enforce\"",
                           spellings(kModeWords)));
    all.push_back(optional("multithreaded-attach", word, "the policy's",
                           "For what an allow rule admits, whatever the policy says.", "\"detect\"",
                           spellings(kSharedAttachWords)));
    all.push_back(optional("accept", texts, "none", "As in the policy, about this rule.",
                           "[\"exempt-by-subject: the agent has no signature yet\"]"));
    all.push_back(optional("log", boolean, "true",
                           "`false`: what the rule admits is counted, but leaves no event. Denials "
                           "always leave one.",
                           "false"));
    return all;
  }();
  return settings;
}

std::string type_text(const Setting& setting) {
  switch (setting.type) {
    case integer:
      return "integer";
    case boolean:
      return "boolean";
    case text:
      return "string";
    case date:
      return "date";
    case texts:
      return "array of strings";
    case integers:
      return "array of integers";
    case tables:
      return "tables";
    case words:
    case word:
      break;
  }
  std::string list;
  for (const std::string_view word : setting.words)
    list += (list.empty() ? "`\"" : ", `\"") + std::string(word) + "\"`";
  return (setting.type == words ? "array of " : "") + list;
}

}  // namespace

std::span<const Setting> settings_of(TableKind table) {
  if (table == TableKind::policy) return policy_settings();
  if (table == TableKind::harden) return harden_settings();
  return table == TableKind::key ? key_settings() : rule_settings();
}

std::vector<std::string_view> names_of(TableKind table) {
  std::vector<std::string_view> names;
  for (const Setting& setting : settings_of(table)) names.push_back(setting.name);
  return names;
}

std::string reference_of(TableKind table) {
  std::string rows =
      "| key | type | default | meaning | example | since |\n|---|---|---|---|---|---|\n";
  for (const Setting& setting : settings_of(table)) {
    rows += "| `" + std::string(setting.name) + "` | " + type_text(setting) + " | ";
    rows += (setting.required ? "required" : std::string(setting.standard)) + " | ";
    rows += std::string(setting.meaning) + " | `" + std::string(setting.example) + "` | " +
            std::string(setting.since) + " |\n";
  }
  return rows;
}

}  // namespace bpfwarden::policy

#include "random_policy.h"

#include <linux/bpf.h>

#include <algorithm>
#include <cstdlib>

#include "bpf-lsm/abi/image.h"
#include "fake_reader.h"

namespace bpfwarden::policy::test {
namespace {

using std::string;
using Strings = std::vector<string>;

// Dates of rules, and around them the times of loads.
constexpr int64_t kFirstDate = 1'798'761'600;  // 2027-01-01
constexpr int64_t kDay = 86'400;

const Strings& target_names() {
  static const Strings names = {"t",
                                "tcp",
                                "tcp_",
                                "tcp_c",
                                "tcp_connect",
                                "tcp_close",
                                "tcp_connect6",
                                "file_open",
                                "bpf",
                                "bpf_prog",
                                "a",
                                "sched_switch",
                                "openat",
                                "__x64_sys_openat",
                                "__arm64_sys_openat",
                                "__se_sys_openat",
                                string(127, 'x'),
                                string(126, 'x'),
                                string(64, 'x'),
                                string(8, 'q'),
                                string(7, 'q')};
  return names;
}

// Of probes, which may be in files as well.
const Strings& probe_names() {
  static const Strings names = [] {
    Strings all = target_names();
    all.insert(all.end(), {"/usr/bin/bash:0x10", "/usr/bin/bash:p:n", "/usr/bin/bash:0x2"});
    return all;
  }();
  return names;
}

const Strings& targets_of(const AttachFamily& family) {
  return family.prog_type == BPF_PROG_TYPE_KPROBE ? probe_names() : target_names();
}

const Strings& devices() {
  static const Strings names = {"eth0", "eth1", "eth10", "lo", "wlan0"};
  return names;
}

const Strings& paths() {
  static const Strings names = {"/",
                                "/a",
                                "/a/b",
                                "/usr/bin/loader",
                                "/usr/bin/x",
                                "/usr/sbin",
                                "/system.slice/agent.service",
                                "/system.slice"};
  return names;
}

// Mostly one of a few, so that rules and loads often meet.
const AttachFamily& random_family(Dice& dice) {
  static const Strings hot = {"xdp",          "fentry",  "lsm",        "kprobe",
                              "uprobe",       "tc",      "tp_btf",     "tcx/ingress",
                              "kprobe.multi", "syscall", "lsm_cgroup", "cgroup/connect4"};
  static const Strings respelt = {"ksyscall", "usdt", "kretsyscall"};
  if (dice.once_in(3)) return attach_families()[dice.below(attach_families().size())];
  if (dice.once_in(5)) return attach_families()[*find_family(dice.pick(respelt))];
  return attach_families()[*find_family(dice.pick(hot))];
}

// A name, or the beginning of one; with a star or without.
string random_match(Dice& dice, const Strings& names) {
  const string& name = dice.pick(names);
  string text = name.substr(0, dice.once_in(3) ? 1 + dice.below(name.size()) : name.size());
  if (dice.once_in(2) || (text.size() > 1 && text.back() == '/')) text += '*';
  return text;
}

string random_place(Dice& dice, const AttachFamily& family) {
  if (family.place == Place::none || !dice.once_in(3)) return "";
  return "@" + random_match(dice, family.place == Place::device ? devices() : paths());
}

string random_pattern(Dice& dice) {
  static const Strings wide = {"*",    "cgroup/*", "tcx/*",   "xdp*", "f*", "k*", "fentry*",
                               "lsm*", "sk_*",     "kprobe*", "tcx*", "t*", "u*", "uprobe*"};
  if (dice.once_in(8)) return dice.pick(wide);
  const AttachFamily& family = random_family(dice);
  string text(family.name);
  if (family.target != Target::none)
    text += "/" + (dice.once_in(4) ? string("*") : random_match(dice, targets_of(family)));
  // A rule may pair only one lsm_cgroup target with a place: see read_rule.cpp.
  return family.name == "lsm_cgroup" ? text : text + random_place(dice, family);
}

string digest_text(size_t number) {
  return "sha256:" + string(62, '0') + "0" + string(1, "0123456789abcdef"[number % 16]);
}

string list(const string& setting, const Strings& values) {
  string text = setting + " = [";
  for (const string& value : values) text += "\"" + value + "\", ";
  return text + "]";
}

void random_subject(Dice& dice, Strings& lines) {
  if (dice.once_in(16)) lines.push_back("uid = [" + std::to_string(dice.below(3)) + ", 1000]");
  if (dice.once_in(14)) lines.push_back(list("exe", {random_match(dice, paths())}));
  if (dice.once_in(14)) lines.push_back(list("cgroup", {random_match(dice, paths()), "/a/b"}));
  if (dice.once_in(12))
    lines.push_back(dice.once_in(2) ? "origin = \"user\"" : "origin = \"loader\"");
}

void random_conditions(Dice& dice, Strings& lines) {
  const auto truth = [&] { return dice.once_in(2) ? "true" : "false"; };
  if (dice.once_in(16)) lines.push_back(list("digests", {digest_text(dice.below(3))}));
  if (dice.once_in(20)) lines.push_back(string("sleepable = ") + truth());
  if (dice.once_in(20)) lines.push_back(string("delegated = ") + truth());
  if (dice.once_in(20))
    lines.push_back(dice.once_in(2) ? "license = \"proprietary\"" : "license = \"gpl-compatible\"");
  const size_t day = 1 + dice.below(19);
  if (dice.once_in(16))
    lines.push_back("not-before = 2027-01-" + string(day < 10 ? "0" : "") + std::to_string(day));
  if (dice.once_in(16)) lines.push_back("expires = 2027-01-2" + std::to_string(dice.below(10)));
}

void random_who(Dice& dice, Strings& lines) {
  static const Strings keys = {"distro", "second", "ops", "dev", "copy", "ca", "narrow"};
  static const Strings signatures = {"prog-only", "prog-used-maps", "unsigned"};
  const bool keyed = !dice.once_in(3);
  if (keyed) lines.push_back(list("signed-by", {dice.pick(keys), dice.pick(keys)}));
  if (!keyed || dice.once_in(3))
    lines.push_back("signature = \"" + signatures[dice.below(keyed ? 2 : 3)] + "\"");
}

// Half of the policies revoke something: what another key names, what none does, an issuer itself.
Strings random_keys(Dice& dice) {
  static const Strings files = {"dev.pem",      "copy-of-ops.pem", "own.pem",
                                "stranger.pem", "ca.pem",          "narrow.pem"};
  Strings keys = {"[keys]",
                  "distro.keyring = \"builtin\"",
                  "second.keyring = \"secondary\"",
                  "ops.certificates = [\"ops.pem\", \"bundle.pem\"]",
                  "dev.certificates = [\"dev.pem\"]",
                  "copy.certificates = [\"copy-of-ops.pem\", \"own.pem\"]",
                  "ca.issuer = [\"ca.pem\"]",
                  "narrow.certificates = [\"narrow.pem\"]",
                  "narrow.keyring = \"builtin\""};
  if (dice.once_in(2)) keys.push_back(list("ca.revoked", {dice.pick(files), dice.pick(files)}));
  return keys;
}

Strings random_rule(Dice& dice, size_t number) {
  static const Strings actions = {"allow", "allow", "allow", "deny", "deny", "load-only"};
  Strings lines = {"name = \"rule " + std::to_string(number) + "\""};
  Strings patterns;
  for (size_t i = 1 + dice.below(4); i > 0; i--) patterns.push_back(random_pattern(dice));
  lines.push_back(list(dice.pick(actions), patterns));
  random_who(dice, lines);
  random_subject(dice, lines);
  random_conditions(dice, lines);
  if (dice.once_in(4)) lines.push_back(dice.once_in(2) ? "mode = \"audit\"" : "mode = \"enforce\"");
  return lines;
}

void random_signer(Dice& dice, Load& load) {
  static const Strings keys = {"ops", "dev", "own", "bundle two", "stranger", "ca", "narrow"};
  load.signature = static_cast<Signature>(dice.below(3));
  if (dice.once_in(4)) load.keyring = static_cast<SystemKeyring>(BW_SIGNER_BUILTIN + dice.below(4));
  if (!dice.once_in(4)) load.public_key = fake_key(dice.pick(keys));
  load.issued = dice.once_in(4);
  if (!load.issued) return;
  load.may_issue = !dice.once_in(3);
  for (size_t i = 1 + dice.below(3); i > 0; i--) load.below.push_back(fake_key(dice.pick(keys)));
}

void random_circumstances(Dice& dice, Load& load) {
  load.origin = dice.once_in(3) ? Origin::loader : Origin::user;
  load.uid = static_cast<uint32_t>(dice.below(4));
  load.exe = dice.once_in(10) ? std::nullopt : std::optional(dice.pick(paths()));
  load.cgroup = dice.once_in(10) ? std::nullopt : std::optional(dice.pick(paths()));
  if (!dice.once_in(3)) {
    load.digest.emplace();
    load.digest->fill(0);
    load.digest->back() = static_cast<uint8_t>(dice.below(5));
  }
  load.sleepable = dice.once_in(3);
  load.delegated = dice.once_in(3);
  load.license = dice.once_in(3) ? License::proprietary : License::gpl_compatible;
  load.time = kFirstDate + static_cast<int64_t>(dice.below(31)) * kDay - (dice.once_in(2) ? 1 : 0);
}

string random_name(Dice& dice, const Strings& names) {
  string name = dice.pick(names);
  if (dice.once_in(4)) name = name.substr(0, 1 + dice.below(name.size()));
  if (dice.once_in(6)) name.back() = 'z';
  return name;
}

// The program is now attached to `family`, one of those that its load allows for.
void random_attachment(Dice& dice, size_t family, Load& load) {
  AttachPoint point{family, {}, {}};
  const AttachFamily& kind = attach_families()[family];
  if (kind.target == Target::load) point.target = load.name;
  if (kind.target == Target::attach) point.target = random_name(dice, targets_of(kind));
  if (kind.place != Place::none && !dice.once_in(6))
    point.place = random_name(dice, kind.place == Place::device ? devices() : paths());
  load.attach = point;
}

// One thing less in `load`; false if `step` is beyond the last.
bool take_away(Load& load, size_t step) {
  const Load plain;
  switch (step) {
    case 0:
      load.exe = plain.exe;
      return true;
    case 1:
      load.cgroup = plain.cgroup;
      return true;
    case 2:
      load.digest = plain.digest;
      return true;
    case 3:
      load.origin = plain.origin;
      return true;
    case 4:
      load.uid = plain.uid;
      return true;
    case 5:
      load.sleepable = plain.sleepable;
      return true;
    case 6:
      load.delegated = plain.delegated;
      return true;
    case 7:
      load.license = plain.license;
      return true;
    case 8:
      load.time = plain.time;
      return true;
    case 9:
      load.keyring = plain.keyring;
      return true;
    case 10:
      load.public_key = plain.public_key;
      return true;
    case 11:
      load.issued = plain.issued;
      return true;
    case 12:
      load.may_issue = plain.may_issue;
      return true;
    case 13:
      load.below = plain.below;
      return true;
    case 14:
      load.signature = plain.signature;
      return true;
    default:
      return false;
  }
}

}  // namespace

string PolicyText::text() const {
  string text;
  for (const string& line : header) text += line + "\n";
  for (const auto& rule : rules) {
    text += "[[rules]]\n";
    for (const string& line : rule) text += line + "\n";
  }
  return text;
}

PolicyText random_policy(Dice& dice) {
  PolicyText policy;
  policy.header = {"schema = 1", "name = \"random\"", "version = 1"};
  policy.header.emplace_back(dice.once_in(2) ? "mode = \"audit\"" : "mode = \"enforce\"");
  policy.header.emplace_back(dice.once_in(4) ? "default = \"allow\"" : "default = \"deny\"");
  if (dice.once_in(4)) policy.header.push_back(list("deny-digests", {digest_text(3)}));
  const Strings keys = random_keys(dice);
  policy.header.insert(policy.header.end(), keys.begin(), keys.end());
  const size_t rules = dice.once_in(20) ? 200 : 2 + dice.below(24);
  for (size_t i = 0; i < rules; i++) policy.rules.push_back(random_rule(dice, i));
  return policy;
}

Load random_load(Dice& dice) {
  Load load;
  const AttachFamily& family = random_family(dice);
  load.prog_type = family.prog_type;
  load.attach_type = family.attach_type;
  random_signer(dice, load);
  random_circumstances(dice, load);
  if (dice.once_in(50)) load.guard = static_cast<bw_cause>(2 + dice.below(BW_CAUSES - 2));
  const bool attaches = dice.once_in(2);
  if (!attaches && dice.once_in(10)) load.attach_type = static_cast<uint32_t>(dice.below(140));
  if (!attaches && dice.once_in(40)) load.prog_type = static_cast<uint32_t>(dice.below(80));
  const uint8_t load_class = load_class_of(load.prog_type, load.attach_type);
  if (load_classes()[load_class].flags & BW_CLASS_NAMED)
    load.name = random_name(dice, target_names());
  if (attaches) random_attachment(dice, *find_family(family.name), load);
  return load;
}

string describe(const Load& load) {
  string text = "prog_type " + std::to_string(load.prog_type) + " attach_type " +
                std::to_string(load.attach_type) + " name '" + load.name + "' signature " +
                std::to_string(static_cast<int>(load.signature));
  if (load.keyring) text += " keyring " + std::to_string(static_cast<int>(*load.keyring));
  text += load.public_key.empty() ? " no key" : load.issued ? " issued by a key" : " by a key";
  if (load.issued)
    text +=
        " over " + std::to_string(load.below.size()) + (load.may_issue ? "" : ", which may not");
  text += " origin " + std::to_string(static_cast<int>(load.origin));
  text += " uid " + std::to_string(load.uid) + " exe " + load.exe.value_or("?") + " cgroup " +
          load.cgroup.value_or("?") + " digest " +
          (load.digest ? std::to_string(load.digest->back()) : "?");
  text += string(load.sleepable ? " sleepable" : "") + (load.delegated ? " delegated" : "") +
          (load.license == License::proprietary ? " proprietary" : "");
  text += " time " + std::to_string(load.time);
  return load.attach ? text + " at " + attach_point_text(*load.attach) : text;
}

string describe(const Verdict& verdict) {
  return string(verdict.allow ? "allow" : "deny") + " mode " +
         std::to_string(static_cast<int>(verdict.mode)) + " cause " +
         std::to_string(verdict.cause) + " rule " +
         (verdict.rule ? std::to_string(*verdict.rule) : "none");
}

uint64_t test_seed() {
  const char* given = std::getenv("BPFWARDEN_TEST_SEED");
  return given ? std::strtoull(given, nullptr, 0) : 20261124;
}

void shrink(PolicyText& policy, Load& load,
            const std::function<bool(const PolicyText&, const Load&)>& fails) {
  for (size_t i = policy.rules.size(); i-- > 0;) {
    PolicyText smaller = policy;
    smaller.rules.erase(smaller.rules.begin() + static_cast<ptrdiff_t>(i));
    if (fails(smaller, load)) policy = std::move(smaller);
  }
  for (size_t i = 0; i < policy.rules.size(); i++)
    for (size_t line = policy.rules[i].size(); line-- > 1;) {
      PolicyText smaller = policy;
      smaller.rules[i].erase(smaller.rules[i].begin() + static_cast<ptrdiff_t>(line));
      if (fails(smaller, load)) policy = std::move(smaller);
    }
  Load smaller = load;
  for (size_t step = 0; take_away(smaller, step); step++) {
    if (fails(policy, smaller)) load = smaller;
    smaller = load;
  }
}

}  // namespace bpfwarden::policy::test

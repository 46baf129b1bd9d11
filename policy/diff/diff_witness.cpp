#include "policy/diff/diff_witness.h"

#include "policy/answers/read_situation.h"
#include "policy/image/signers.h"
#include "policy/language/read_conditions.h"
#include "policy/language/words.h"
#include "policy/text/date.h"

namespace bpfwarden::policy {
namespace {

using std::string;

// Longer than any path that can be read.
string unreadable_path() { return "/" + string(BW_NAME_SIZE, 'x'); }

// By the name of a key, and its certificate where the name alone stands for another one. False if
// there is none.
bool name_signer(const DiffSide& side, uint32_t slot, SituationSettings& settings) {
  if (slot == BW_SIGNER_UNKNOWN) return true;
  for (const Key& key : side.policy.keys)
    if (const auto found = signer_slot(side.image, side.policy, key.name);
        found && *found == slot) {
      settings.key = key.name;
      return true;
    }
  for (const Key& key : side.policy.keys)
    for (const auto* certificates : {&key.certificates, &key.issuers})
      for (const Certificate& certificate : *certificates) {
        const string fingerprint = fingerprint_text(certificate);
        const auto found = signer_slot(side.image, side.policy, key.name, fingerprint);
        if (!found || *found != slot) continue;
        settings.key = key.name;
        settings.certificate = fingerprint;
        return true;
      }
  return false;
}

// A keyring that no key of the policy names: its signers meet no condition that those do not meet
// whom nobody knows.
bool is_as_unknown(const bw_image& image, uint32_t slot) {
  return slot < BW_SIGNER_FIRST_KEY &&
         words_of(image.signer[slot]) == words_of(image.signer[BW_SIGNER_UNKNOWN]);
}

std::optional<SituationSettings> explained_by(const DiffSide& side, const Situation& load,
                                              int64_t now) {
  const Situation plain;
  SituationSettings settings;
  settings.attach = load.attach;
  if (load.signature != Signature::unsigned_) {
    settings.signature = load.signature;
    if (!name_signer(side, load.signer, settings) && !is_as_unknown(side.image, load.signer))
      return std::nullopt;
  }
  if (load.origin != plain.origin) settings.origin = load.origin;
  if (load.uid != plain.uid) settings.uid = load.uid;
  if (load.exe != plain.exe) settings.exe = load.exe.value_or(unreadable_path());
  if (load.cgroup != plain.cgroup) settings.cgroup = load.cgroup.value_or(unreadable_path());
  settings.digest = load.digest;
  if (load.sleepable) settings.sleepable = true;
  if (load.delegated) settings.delegated = true;
  if (load.license != plain.license) settings.license = load.license;
  if (load.time != now) settings.time = load.time;
  return settings;
}

std::vector<string> spelled_options(const SituationSettings& settings) {
  std::vector<string> words;
  const auto add = [&](const char* option, string value) {
    words.emplace_back(option);
    words.push_back(std::move(value));
  };
  add("--attach", attach_point_text(*settings.attach));
  if (!settings.key.empty()) add("--key", settings.key);
  if (!settings.certificate.empty()) add("--certificate", settings.certificate);
  if (settings.signature)
    add("--signature", string(spelling_of(kSignatureWords, *settings.signature)));
  if (settings.digest) add("--digest", digest_text(*settings.digest));
  if (settings.origin) add("--origin", string(spelling_of(kOriginWords, *settings.origin)));
  if (settings.uid) add("--uid", std::to_string(*settings.uid));
  if (settings.exe) add("--exe", *settings.exe);
  if (settings.cgroup) add("--cgroup", *settings.cgroup);
  if (settings.sleepable) words.emplace_back("--sleepable");
  if (settings.delegated) words.emplace_back("--delegated");
  if (settings.license) add("--license", string(spelling_of(kLicenseWords, *settings.license)));
  if (settings.time) add("--time", moment_text(*settings.time));
  return words;
}

bool is_same_answer(const bw_decision& left, const bw_decision& right) {
  return left.allow == right.allow && left.mode == right.mode && left.cause == right.cause &&
         left.rule == right.rule;
}

}  // namespace

std::optional<std::vector<string>> explain_options(const DiffSide& side, const Situation& load,
                                                   int64_t now) {
  auto settings = explained_by(side, load, now);
  if (!settings) return std::nullopt;
  auto options = spelled_options(*settings);
  const auto attach = parse_attach_point(attach_point_text(load.attach));
  if (!attach) return std::nullopt;
  settings->attach = *attach;
  const auto asked = situation_of(*settings, side.policy, side.image, now);
  if (!asked ||
      !is_same_answer(decide_on(side.image, *asked).last(), decide_on(side.image, load).last()))
    return std::nullopt;
  return options;
}

}  // namespace bpfwarden::policy

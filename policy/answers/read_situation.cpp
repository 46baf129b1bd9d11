#include "policy/answers/read_situation.h"

#include <limits>

#include "policy/image/signers.h"
#include "policy/language/read_conditions.h"
#include "policy/language/words.h"

namespace bpfwarden::policy {
namespace {

using std::string;

void read_attach(const Fields& fields, const Entry& entry, SituationSettings& settings,
                 DiagnosticList& diagnostics) {
  const string* text = fields.string(entry);
  if (!text) return;
  auto point = parse_attach_point(*text);
  if (point)
    settings.attach = std::move(*point);
  else
    diagnostics.error(entry.value.position, point.error().message, point.error().hint);
}

void read_uid(const Fields& fields, const Entry& entry, SituationSettings& settings,
              DiagnosticList& diagnostics) {
  const auto number = fields.integer(entry);
  if (!number) return;
  if (*number < 0 || *number > std::numeric_limits<uint32_t>::max())
    diagnostics.error(entry.value.position, std::to_string(*number) + " is no user id");
  else
    settings.uid = static_cast<uint32_t>(*number);
}

void read_digest(const Fields& fields, const Entry& entry, SituationSettings& settings,
                 DiagnosticList& diagnostics) {
  const string* text = fields.string(entry);
  if (!text) return;
  settings.digest = parse_digest(*text);
  if (!settings.digest)
    diagnostics.error(entry.value.position, "`" + *text + "` is no digest",
                      "write sha256: and 64 small hexadecimal digits");
}

void read_subject(const Fields& fields, SituationSettings& settings, DiagnosticList& diagnostics) {
  const auto text_of = [&](const Entry* entry, auto& setting) {
    if (const string* text = entry ? fields.string(*entry) : nullptr) setting = *text;
  };
  text_of(fields.find("key"), settings.key);
  text_of(fields.find("certificate"), settings.certificate);
  text_of(fields.find("exe"), settings.exe);
  text_of(fields.find("cgroup"), settings.cgroup);
  if (const Entry* entry = fields.find("uid")) read_uid(fields, *entry, settings, diagnostics);
}

void read_program(const Fields& fields, SituationSettings& settings) {
  if (const Entry* entry = fields.find("signature"))
    settings.signature = fields.word<Signature>(*entry, kSignatureWords);
  if (const Entry* entry = fields.find("origin"))
    settings.origin = fields.word<Origin>(*entry, kOriginWords);
  if (const Entry* entry = fields.find("sleepable")) settings.sleepable = fields.boolean(*entry);
  if (const Entry* entry = fields.find("delegated")) settings.delegated = fields.boolean(*entry);
  if (const Entry* entry = fields.find("license"))
    settings.license = fields.word<License>(*entry, kLicenseWords);
  if (const Entry* entry = fields.find("time")) settings.time = fields.date(*entry);
}

}  // namespace

std::vector<std::string_view> situation_names() {
  return {"attach", "key",    "certificate", "signature", "digest",  "origin", "uid",
          "exe",    "cgroup", "sleepable",   "delegated", "license", "time"};
}

void read_situation(const Fields& fields, SituationSettings& settings,
                    DiagnosticList& diagnostics) {
  if (const Entry* entry = fields.find("attach"))
    read_attach(fields, *entry, settings, diagnostics);
  if (const Entry* entry = fields.find("digest"))
    read_digest(fields, *entry, settings, diagnostics);
  read_subject(fields, settings, diagnostics);
  read_program(fields, settings);
}

Result<Situation> situation_of(const SituationSettings& settings, const Policy& policy,
                               const bw_image& image, int64_t now) {
  Situation situation;
  if (!settings.attach) return fail("no attach point is given", "add one, such as `xdp@eth0`");
  situation.attach = *settings.attach;
  situation.guard = guard_of(situation.attach);
  situation.is_target_unknown = situation.attach.target == kUnknownTarget;
  const bool has_key = !settings.key.empty();
  situation.signature =
      settings.signature.value_or(has_key ? Signature::prog_only : Signature::unsigned_);
  if (has_key && situation.signature == Signature::unsigned_)
    return fail("a key is given, but the program is said to be unsigned",
                "leave one of the two out");
  if (!has_key && !settings.certificate.empty())
    return fail("a certificate is given, but no key", "name the key that has it");
  if (has_key) {
    const auto slot = settings.certificate.empty()
                          ? signer_slot(image, policy, settings.key)
                          : signer_slot(image, policy, settings.key, settings.certificate);
    if (!slot) return std::unexpected(slot.error());
    situation.signer = *slot;
    if (*slot == BW_SIGNER_UNKNOWN) situation.revoked_key = settings.key;
  }
  situation.origin = settings.origin.value_or(situation.origin);
  situation.uid = settings.uid.value_or(0);
  if (settings.exe) situation.exe = settings.exe;
  if (settings.cgroup) situation.cgroup = settings.cgroup;
  situation.digest = settings.digest;
  situation.sleepable = settings.sleepable.value_or(false);
  situation.delegated = settings.delegated.value_or(false);
  situation.license = settings.license.value_or(License::gpl_compatible);
  situation.time = settings.time.value_or(now);
  return situation;
}

}  // namespace bpfwarden::policy

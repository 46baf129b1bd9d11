#include "loader/policies/revoke_key.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <optional>

#include "base/file.h"
#include "loader/policies/policy_file.h"
#include "policy/language/revoke.h"

namespace bpfwarden::loader {
namespace {

// What is to be revoked: `sha256:FINGERPRINT`, and the certificate where its file was given.
struct Wanted {
  std::string fingerprint;
  std::optional<Certificate> certificate;
};

Result<Wanted> read_wanted(const std::string& what) {
  if (what.starts_with("sha256:")) return Wanted{what, {}};
  auto read = keyring::read_certificates(what);
  if (!read) return std::unexpected(std::move(read).error());
  if (read->size() != 1)
    return fail(what + " holds " + std::to_string(read->size()) + " certificates",
                "give the fingerprint of the one that is meant: `bpfwarden keys fingerprint`");
  return Wanted{fingerprint_text(read->front()), std::move(read->front())};
}

// Where it is trusted, and what `revoked` is to say.
struct Trust {
  size_t key = 0;
  std::string entry;
  Revoked revoked;
};

std::string in_words(const Certificate& certificate) {
  return certificate.subject + " (" + fingerprint_text(certificate) + ")";
}

std::optional<Trust> find_named(const policy::Policy& policy, const Wanted& wanted) {
  for (size_t i = 0; i < policy.keys.size(); i++)
    for (const Certificate& info : policy.keys[i].certificates) {
      if (fingerprint_text(info) != wanted.fingerprint) continue;
      Trust trust = {.key = i, .entry = wanted.fingerprint, .revoked = {}};
      trust.revoked.key = policy.keys[i].name;
      trust.revoked.certificate = in_words(info);
      trust.revoked.key_digest = info.key_digest;
      return trust;
    }
  return std::nullopt;
}

// The folder that relative paths of the key start at.
std::filesystem::path folder_of(const policy::Policy& policy, const policy::Key& key) {
  const auto folder = std::filesystem::path(policy.files[key.position.file]).parent_path();
  return folder.empty() ? "." : folder;
}

Result<Trust> find_issued(const policy::Policy& policy, const Wanted& wanted,
                          const std::string& name) {
  const auto found = std::ranges::find(policy.keys, name, &policy::Key::name);
  if (!wanted.certificate || name.empty())
    return fail(
        "no key of the policy names that certificate in `certificates`",
        "if it is one that an `issuer` issued, give its file and --key NAME; `bpfwarden keys "
        "list POLICY` lists what is named");
  if (found == policy.keys.end() || found->issuers.empty())
    return fail("the policy has no key `" + name + "` with an `issuer`",
                "`bpfwarden keys list POLICY` lists the keys");
  const Certificate& certificate = *wanted.certificate;
  std::error_code error;
  const auto path = std::filesystem::relative(certificate.path, folder_of(policy, *found), error);
  if (error) return fail_errno(error.value(), certificate.path);
  Trust trust = {.key = static_cast<size_t>(found - policy.keys.begin()),
                 .entry = path.string(),
                 .revoked = {}};
  trust.revoked.key = name;
  trust.revoked.certificate = in_words(certificate);
  trust.revoked.is_issued = true;
  return trust;
}

bool is_revoked_already(const policy::Policy& policy, const Wanted& wanted) {
  return std::ranges::any_of(policy.keys, [&](const policy::Key& key) {
    return std::ranges::find(key.revoked, wanted.fingerprint, fingerprint_text) !=
           key.revoked.end();
  });
}

Result<Trust> find_trust(const policy::Policy& policy, const std::string& what,
                         const std::string& key) {
  const auto wanted = read_wanted(what);
  if (!wanted) return std::unexpected(wanted.error());
  if (is_revoked_already(policy, *wanted)) return fail(what + " is revoked already");
  auto named = find_named(policy, *wanted);
  if (!named) return find_issued(policy, *wanted, key);
  if (!key.empty() && key != named->revoked.key)
    return fail(
        what + " is a certificate of key `" + named->revoked.key + "`, not of `" + key + "`",
        "leave --key out");
  return std::move(*named);
}

// Only files that have changed.
Status write_sources(const std::vector<policy::SourceFile>& before,
                     const std::vector<policy::SourceFile>& after) {
  for (size_t i = after.size(); i-- > 0;) {  // the version last: until then nothing can be applied
    if (after[i].text == before[i].text) continue;
    if (Status done = write_output(after[i].name, after[i].text); !done) return done;
  }
  return {};
}

}  // namespace

Result<Revoked> revoke_certificate(const std::filesystem::path& path, const std::string& what,
                                   const std::string& key) {
  const policy::ParseResult parsed = parse_policy_file(path);
  if (!parsed)
    return unreadable(fail(path.string() + " is not a good policy",
                           "run `bpfwarden check " + path.string() + "`"));
  auto trust = find_trust(*parsed.policy, what, key);
  if (!trust) return std::unexpected(std::move(trust).error());
  auto edited = policy::revoke(*parsed.policy, parsed.sources, trust->key, trust->entry);
  if (!edited) return std::unexpected(std::move(edited).error().within(path.string()));
  CheckedPolicy checked = check_policy(parse_policy_text(*edited));
  if (!checked.compiled)
    return fail("the policy would not be good without that certificate:\n" +
                    policy::render_all(checked.diagnostics, checked.sources),
                "take the key out by hand");
  if (Status written = write_sources(parsed.sources, *edited); !written)
    return std::unexpected(std::move(written).error());
  Revoked revoked = std::move(trust->revoked);
  revoked.version = checked.compiled->policy.version;
  revoked.diagnostics = std::move(checked.diagnostics);
  revoked.sources = std::move(checked.sources);
  return revoked;
}

std::vector<AdmittedProgram> admitted_for(const Revoked& revoked,
                                          std::vector<AdmittedProgram> programs) {
  std::erase_if(programs, [&](const AdmittedProgram& program) {
    const bw_program& record = program.record;
    if (revoked.is_issued) return revoked.key != record.signer_name;
    return std::memcmp(record.signer_key, revoked.key_digest.data(), BW_DIGEST_SIZE) != 0;
  });
  return programs;
}

}  // namespace bpfwarden::loader

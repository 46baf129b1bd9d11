#include "policy/compile.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string>

#include "policy/coverage.h"
#include "policy/pattern_table.h"

namespace bpfwarden::policy {
namespace {

void set_bit(bw_vector& vector, size_t bit) { vector.words[bit / 64] |= uint64_t{1} << bit % 64; }

// The rest of `to` is already zero, and stays so: a terminating NUL is left.
template <size_t size>
[[nodiscard]] bool copy_text(char (&to)[size], const std::string& from) {
  if (from.size() >= size) return false;
  std::memcpy(to, from.data(), from.size());
  return true;
}

Status write_header(const Policy& policy, std::span<const uint8_t, 32> digest, bw_image& image) {
  image.magic = BW_IMAGE_MAGIC;
  image.abi = BW_IMAGE_ABI;
  image.size = sizeof(bw_image);
  image.policy_version = policy.version;
  image.rule_count = static_cast<uint32_t>(policy.rules.size());
  image.mode = static_cast<uint32_t>(policy.mode);
  image.default_allow = policy.default_action == Action::allow;
  std::copy(digest.begin(), digest.end(), image.policy_digest);
  if (!copy_text(image.policy_name, policy.name)) return fail("the policy's name is too long");
  return {};
}

void write_classes(bw_image& image) {
  for (uint32_t prog_type = 0; prog_type < BW_PROG_TYPES; prog_type++)
    for (uint32_t attach_type = 0; attach_type < BW_ATTACH_TYPES; attach_type++)
      image.class_of[prog_type][attach_type] = load_class_of(prog_type, attach_type);
  for (size_t i = 0; i < load_classes().size(); i++)
    image.classes[i].flags = load_classes()[i].flags;
}

// ---- Signers ------------------------------------------------------------------------------------

struct Signers {
  std::vector<std::set<size_t>> slots_of_key;  // by index into Policy::keys
};

bool holds(const bw_signer& signer, const CertificateInfo& certificate) {
  const char* algorithm = reinterpret_cast<const char*>(signer.algorithm);
  return signer.key_length == certificate.public_key.size() &&
         std::memcmp(signer.key, certificate.public_key.data(), signer.key_length) == 0 &&
         certificate.kernel_algorithm ==
             std::string(algorithm, strnlen(algorithm, BW_ALGORITHM_SIZE));
}

// The slot of a public key, a new one where needed.
Result<size_t> slot_for(const CertificateInfo& certificate, const std::string& name,
                        bw_image& image) {
  for (size_t slot = BW_SIGNER_FIRST_KEY; slot < image.signer_count; slot++)
    if (holds(image.signers[slot], certificate)) return slot;
  if (image.signer_count == BW_MAX_SIGNERS) return fail("the policy has too many public keys");
  if (certificate.public_key.empty() || certificate.public_key.size() >= BW_KEY_SIZE ||
      certificate.kernel_algorithm.size() >= BW_ALGORITHM_SIZE)
    return fail("the public key of " + certificate.path + " does not fit");
  bw_signer& signer = image.signers[image.signer_count];
  if (!copy_text(signer.name, name)) return fail("the name of key `" + name + "` is too long");
  signer.key_length = static_cast<uint32_t>(certificate.public_key.size());
  std::memcpy(signer.key, certificate.public_key.data(), certificate.public_key.size());
  std::memcpy(signer.algorithm, certificate.kernel_algorithm.data(),
              certificate.kernel_algorithm.size());
  return image.signer_count++;
}

Result<Signers> write_signers(const Policy& policy, bw_image& image) {
  Signers signers;
  image.signer_count = BW_SIGNER_FIRST_KEY;
  for (const Key& key : policy.keys) {
    std::set<size_t>& slots = signers.slots_of_key.emplace_back();
    if (key.keyring) {
      const auto slot = static_cast<size_t>(*key.keyring);
      if (image.signers[slot].name[0] == 0 && !copy_text(image.signers[slot].name, key.name))
        return fail("the name of key `" + key.name + "` is too long");
      slots.insert(slot);
    }
    for (const CertificateInfo& certificate : key.certificates) {
      auto slot = slot_for(certificate, key.name, image);
      if (!slot) return std::unexpected(std::move(slot.error()));
      slots.insert(*slot);
    }
  }
  return signers;
}

// ---- Rules --------------------------------------------------------------------------------------

void write_who(const Rule& rule, size_t index, const Signers& signers, bw_image& image) {
  for (auto least = static_cast<size_t>(rule.signature); least < BW_SIGNATURES; least++)
    set_bit(image.signature[least], index);
  if (rule.signed_by.empty()) {
    for (bw_vector& signer : image.signer) set_bit(signer, index);
    return;
  }
  set_bit(image.keyed, index);
  for (const KeyReference& reference : rule.signed_by)
    for (const size_t slot : signers.slots_of_key[reference.key])
      set_bit(image.signer[slot], index);
}

void add_patterns(const Rule& rule, uint32_t index, PatternTable& patterns) {
  const FamilySet named = named_families(rule);
  for (size_t i = 1; i < load_classes().size(); i++) {
    const LoadClass& load = load_classes()[i];
    const auto number = static_cast<uint8_t>(i);
    const Coverage coverage = coverage_of(rule.action, named, load);
    // What falls at attach is not decided there yet, so a deny rule decides for all of the class.
    const bool sure = coverage.others.none() || rule.action == Action::deny;
    if (coverage.matches) patterns.add(number, true, "", index, {sure, true});
    for (const AttachEntry& entry : rule.attach)
      if (entry.pattern.match != TargetMatch::all && (entry.pattern.families & load.home).any())
        patterns.add(number, entry.pattern.match == TargetMatch::prefix, entry.pattern.target,
                     index, {true, true});
  }
}

Status write_rule(const Rule& rule, size_t index, const Signers& signers, bw_image& image) {
  if (!copy_text(image.rules[index].name, rule.name))
    return fail("the name of rule `" + rule.name + "` is too long");
  image.rules[index].line = rule.position.line;
  if (rule.action == Action::allow) set_bit(image.allow, index);
  if (rule.mode == Mode::audit) set_bit(image.audit, index);
  if (rule.mode == Mode::enforce) set_bit(image.enforce, index);
  write_who(rule, index, signers, image);
  return {};
}

}  // namespace

Result<std::unique_ptr<bw_image>> compile(const Policy& policy,
                                          std::span<const uint8_t, 32> digest) {
  if (policy.rules.size() > BW_MAX_RULES) return fail("the policy has too many rules");
  auto image = std::make_unique<bw_image>();
  if (Status header = write_header(policy, digest, *image); !header)
    return std::unexpected(std::move(header.error()));
  write_classes(*image);
  const auto signers = write_signers(policy, *image);
  if (!signers) return std::unexpected(signers.error());
  PatternTable patterns;
  for (size_t i = 0; i < policy.rules.size(); i++) {
    if (Status rule = write_rule(policy.rules[i], i, *signers, *image); !rule)
      return std::unexpected(std::move(rule.error()));
    add_patterns(policy.rules[i], static_cast<uint32_t>(i), patterns);
  }
  if (Status written = patterns.write(*image); !written)
    return std::unexpected(std::move(written.error()));
  return image;
}

}  // namespace bpfwarden::policy

#include "loader/bundles/verify_bundle.h"

#include <linux/bpf.h>

#include <algorithm>
#include <array>

#include "loader/bundles/generated_loader.h"
#include "loader/bundles/program_attach.h"
#include "loader/signed/signer_evidence.h"

namespace bpfwarden::loader {
namespace {

// As license_is_gpl_compatible() in include/linux/license.h.
bool is_gpl_compatible(const std::string& license) {
  constexpr auto known =
      std::to_array<std::string_view>({"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL",
                                       "Dual MIT/GPL", "Dual MPL/GPL"});
  return std::ranges::find(known, license) != known.end();
}

// What libbpf puts before the names of the kernel's BTF.
std::string plain_target(const std::string& target) {
  for (const std::string_view prefix : {"bpf_lsm_", "bpf_iter_", "btf_trace_"})
    if (target.starts_with(prefix)) return target.substr(prefix.size());
  return target;
}

struct Planned {
  std::string name;
  policy::AttachPoint attach;
  bool is_sleepable = false;
  std::string license;
};

// As the file claims.
Result<Planned> claimed(const keyring::Bundle& bundle, const keyring::ProgramEntry& program) {
  auto point = attach_point_of(program);
  if (!point) return std::unexpected(std::move(point).error());
  const bool sleeps = program.section.substr(0, program.section.find('/')).ends_with(".s");
  return Planned{program.name, std::move(*point), sleeps, bundle.license};
}

// As the signed loader will load it. Targets that no load names are the file's claim.
Result<Planned> generated(const keyring::ProgramEntry& program, const GeneratedLoad& loaded) {
  const bool is_named = !program.section.empty();
  keyring::ProgramEntry seen = program;
  seen.prog_type = loaded.prog_type;
  seen.expected_attach_type = loaded.expected_attach_type;
  if (!is_named) seen.section = "/" + std::string(policy::kUnknownTarget);
  auto point = attach_point_of(seen);
  if (!point) return std::unexpected(std::move(point).error());
  if (!loaded.target.empty()) point->target = plain_target(loaded.target);
  return Planned{program.name, std::move(*point), loaded.is_sleepable, loaded.license};
}

Result<std::vector<Planned>> programs_in(const keyring::Bundle& bundle) {
  const auto loaded = bundle.kind == keyring::Bundle::Kind::loader
                          ? programs_of_loader(bundle.insns, bundle.metadata)
                          : std::vector<GeneratedLoad>();
  std::vector<Planned> programs;
  for (size_t i = 0; i < bundle.programs.size(); i++) {
    auto one = loaded.size() == bundle.programs.size() ? generated(bundle.programs[i], loaded[i])
                                                       : claimed(bundle, bundle.programs[i]);
    if (!one) return std::unexpected(std::move(one).error());
    programs.push_back(std::move(*one));
  }
  return programs;
}

}  // namespace

Result<keyring::CmsChain> find_bundle_signer(const keyring::Bundle& bundle,
                                             std::span<const Certificate> certificates) {
  if (bundle.signature.empty())
    return fail("it carries no signature", "make it with `bpfwarden sign`");
  auto signer =
      keyring::verify_chain(keyring::to_be_signed(bundle), bundle.signature, certificates);
  if (!signer || bundle.self_check_signature.empty()) return signer;
  auto second = keyring::verify_chain(keyring::self_checking_insns(bundle),
                                      bundle.self_check_signature, certificates);
  constexpr const char* which = "the signature for kernels before 7.3";
  if (!second) return std::unexpected(std::move(second).error().within(which));
  if (*signer == *second) return signer;
  return fail(which + (": signed by " + second->signer().subject) + ", the other one by " +
              signer->signer().subject);
}

Result<std::vector<BundleDecision>> decide_on_bundle(const keyring::Bundle& bundle,
                                                     const CompiledPolicy& compiled,
                                                     const keyring::CmsChain& signer,
                                                     bool covers_maps, int64_t now) {
  const auto programs = programs_in(bundle);
  if (!programs) return std::unexpected(programs.error());
  const bool is_loader = bundle.kind == keyring::Bundle::Kind::loader;
  const bw_signed_by by = evidence_of(signer);
  policy::Situation situation;
  situation.signature =
      is_loader && covers_maps ? policy::Signature::prog_used_maps : policy::Signature::prog_only;
  situation.signer = bw_find_signer(compiled.image.get(), &by, 0);
  situation.time = now;
  situation.is_only_load = true;
  std::vector<BundleDecision> decisions;
  const auto decide = [&](const std::string& name) {
    situation.guard = policy::guard_of(situation.attach);
    decisions.push_back({name, policy::attach_point_text(situation.attach),
                         policy::decide_on(*compiled.image, situation).last()});
  };
  if (is_loader) {
    situation.attach = {*policy::find_family("syscall"), {}, {}};
    decide("the loader");
    situation.origin = policy::Origin::loader;
  } else {
    situation.digest = keyring::sha256(bundle.insns);
  }
  for (const Planned& program : *programs) {
    situation.attach = program.attach;
    situation.sleepable = program.is_sleepable;
    situation.license = is_gpl_compatible(program.license) ? policy::License::gpl_compatible
                                                           : policy::License::proprietary;
    decide(program.name);
  }
  return decisions;
}

}  // namespace bpfwarden::loader

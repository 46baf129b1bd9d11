#include "loader/verify_bundle.h"

#include <linux/bpf.h>

#include <algorithm>
#include <array>

#include "keyring/cms.h"
#include "loader/program_attach.h"
#include "policy/signers.h"

namespace bpfwarden::loader {
namespace {

Status verify_all(const keyring::Bundle& bundle, const keyring::Certificate& certificate) {
  if (Status good =
          keyring::verify_detached(keyring::to_be_signed(bundle), bundle.signature, certificate);
      !good)
    return good;
  if (bundle.self_check_signature.empty()) return {};
  Status second = keyring::verify_detached(keyring::self_checking_insns(bundle),
                                           bundle.self_check_signature, certificate);
  if (second) return {};
  return std::unexpected(std::move(second).error().within("the signature for kernels before 7.3"));
}

// As license_is_gpl_compatible() in include/linux/license.h.
bool is_gpl_compatible(const std::string& license) {
  constexpr auto known =
      std::to_array<std::string_view>({"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL",
                                       "Dual MIT/GPL", "Dual MPL/GPL"});
  return std::ranges::find(known, license) != known.end();
}

// As the kernel part finds who signed, verified against bpfwarden's own keyring.
uint32_t slot_of(const bw_image& image, const keyring::Certificate& signer) {
  const bw_signed_by by =
      policy::signed_by(policy::kernel_key(signer.public_key, signer.kernel_algorithm));
  return bw_find_signer(&image, &by, 0);
}

}  // namespace

Result<keyring::Certificate> find_bundle_signer(
    const keyring::Bundle& bundle, std::span<const keyring::Certificate> certificates) {
  if (bundle.signature.empty())
    return fail("it carries no signature", "make it with `bpfwarden sign`");
  Error last = {0, "there is no certificate to compare with", ""};
  for (const keyring::Certificate& certificate : certificates) {
    const Status good = verify_all(bundle, certificate);
    if (good) return certificate;
    last = good.error();
  }
  last.hint = "get the file again, or name the certificate of who signed it";
  return std::unexpected(std::move(last));
}

Result<std::vector<BundleDecision>> decide_on_bundle(const keyring::Bundle& bundle,
                                                     const CompiledPolicy& compiled,
                                                     const keyring::Certificate& signer,
                                                     bool covers_maps, int64_t now) {
  const bool is_loader = bundle.kind == keyring::Bundle::Kind::loader;
  policy::Situation situation;
  situation.signature =
      is_loader && covers_maps ? policy::Signature::prog_used_maps : policy::Signature::prog_only;
  situation.signer = slot_of(*compiled.image, signer);
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
  situation.license = is_gpl_compatible(bundle.license) ? policy::License::gpl_compatible
                                                        : policy::License::proprietary;
  for (const keyring::ProgramEntry& program : bundle.programs) {
    auto point = attach_point_of(program);
    if (!point) return std::unexpected(std::move(point).error());
    situation.attach = std::move(*point);
    situation.sleepable = program.section.substr(0, program.section.find('/')).ends_with(".s");
    decide(program.name);
  }
  return decisions;
}

}  // namespace bpfwarden::loader

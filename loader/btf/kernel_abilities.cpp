#include "loader/btf/kernel_abilities.h"

#include <array>
#include <fstream>

#include "loader/btf/kernel_has.h"
#include "policy/language/words.h"

namespace bpfwarden::loader {
namespace {

using policy::Signature;
using std::string;

string signatures_text(const KernelAbilities& kernel) {
  if (kernel.most == Signature::unsigned_) return "none";
  return kernel.most == Signature::prog_only ? "`prog-only`" : "`prog-only`, `prog-used-maps`";
}

string verifier_text(Verifier verifier) {
  switch (verifier) {
    case Verifier::kernel:
      return "the kernel";
    case Verifier::bpfwarden:
      return "bpfwarden";
    case Verifier::both:
      return "the kernel, and maps bpfwarden";
    case Verifier::nobody:
      break;
  }
  return "nobody";
}

string keyrings_text(const KernelAbilities& kernel) {
  if (kernel.verifier == Verifier::nobody) return "none";
  return kernel.own_keyring ? "bpfwarden's, the kernel's own" : "`.bpf`, the kernel's own";
}

string attach_text(const KernelAbilities& kernel) {
  return kernel.awaits_ends
             ? "all of it"
             : "all of it; refused: threads under `detect`, and raw tracepoints and links of many "
               "targets that no rule admits wherever they go";
}

constexpr KernelFacts kBefore = {
    .verifying_function = true,
    .lsm_of_cgroups = true,
    .verifies_by_itself = true,
};
constexpr KernelFacts kFirstSigned = {
    .signature_attr = true,
    .program_digest = true,
    .verifying_function = true,
    .task_work = true,
    .lsm_of_cgroups = true,
    .verifies_by_itself = true,
};

constexpr KernelFacts with_verdict() {
  KernelFacts facts = kFirstSigned;
  facts.signature_verdict = true;
  return facts;
}

constexpr KernelFacts with_maps() {
  KernelFacts facts = with_verdict();
  facts.folded_maps = true;
  facts.verifies_by_itself = false;
  return facts;
}

constexpr KernelFacts with_keyring(bool alone) {
  KernelFacts facts = with_maps();
  facts.bpf_keyring = true;
  facts.bpf_keyring_alone = alone;
  return facts;
}

constexpr auto kKnown = std::to_array<KnownKernel>({
    {"6.12 to 6.17", kBefore},
    {"6.18 to 7.1", kFirstSigned},
    {"7.2", with_verdict()},
    {"7.3", with_maps()},
    {"after 7.3", with_keyring(false), false},
    {"after 7.3, booted with `bpf.keyring_unsealed=1`", with_keyring(true), false},
});

}  // namespace

bool is_kernel_setting_on(const char* file) {
  std::ifstream setting(file);
  const int first = setting.get();
  return first == '1' || first == 'Y';
}

bool verifies_by_kernel_part() {
  return !BW_KERNEL_HAS(folded_maps) && BW_KERNEL_HAS(verifying_function);
}

KernelFacts facts_of_kernel() {
  const bool has_bpf_keyring = BW_KERNEL_HAS(bpf_keyring);
  return {
      .signature_attr = BW_KERNEL_HAS(signature_attr),
      .signature_verdict = BW_KERNEL_HAS(signature_verdict),
      .folded_maps = BW_KERNEL_HAS(folded_maps),
      .program_digest = BW_KERNEL_HAS(program_digest),
      .verifying_function = BW_KERNEL_HAS(verifying_function),
      .task_work = BW_KERNEL_HAS(task_work) || BW_KERNEL_HAS(task_work_impl),
      .lsm_of_cgroups = BW_KERNEL_HAS(lsm_of_cgroups),
      .bpf_keyring = has_bpf_keyring,
      .bpf_keyring_alone =
          has_bpf_keyring && is_running_kernel_asked() && is_kernel_setting_on(kBpfKeyringSetting),
      .verifies_by_itself = verifies_by_kernel_part(),
  };
}

KernelAbilities abilities_of(const KernelFacts& facts) {
  KernelAbilities kernel;
  if (facts.signature_attr)
    kernel.by_kernel = facts.folded_maps ? Signature::prog_used_maps : Signature::prog_only;
  kernel.most = facts.verifies_by_itself ? Signature::prog_used_maps : kernel.by_kernel;
  if (kernel.most != Signature::unsigned_)
    kernel.verifier = !facts.signature_attr             ? Verifier::bpfwarden
                      : kernel.most != kernel.by_kernel ? Verifier::both
                                                        : Verifier::kernel;
  kernel.own_keyring = kernel.verifier != Verifier::nobody && !facts.bpf_keyring_alone;
  kernel.bpf_keyring = facts.bpf_keyring;
  kernel.signed_policies = facts.verifying_function;
  kernel.digests = facts.program_digest;
  kernel.awaits_ends = facts.task_work;
  kernel.seal = facts.lsm_of_cgroups;
  return kernel;
}

std::string_view verifier_name(Verifier verifier) {
  switch (verifier) {
    case Verifier::kernel:
      return "kernel";
    case Verifier::bpfwarden:
      return "bpfwarden";
    case Verifier::both:
      return "kernel-and-bpfwarden";
    case Verifier::nobody:
      break;
  }
  return "nobody";
}

string verification_text(const KernelAbilities& kernel) {
  if (kernel.verifier == Verifier::nobody) return "by nobody";
  return "by " + verifier_text(kernel.verifier) + ": " +
         string(policy::spelling_of(policy::kSignatureWords, kernel.most));
}

std::span<const KnownKernel> known_kernels() { return kKnown; }

string kernel_table() {
  string rows =
      "| Linux | signatures it tells | verified by | in which keyrings | signed policies | digests "
      "| decided at attach | seal |\n|---|---|---|---|---|---|---|---|\n";
  for (const KnownKernel& known : kKnown) {
    const KernelAbilities kernel = abilities_of(known.facts);
    const auto yes = [](bool has) { return has ? " | yes" : " | no"; };
    rows += "| " + string(known.name) + (known.is_tried ? "" : ", untested") + " | " +
            signatures_text(kernel) + " | " + verifier_text(kernel.verifier) + " | " +
            keyrings_text(kernel) + yes(kernel.signed_policies) + yes(kernel.digests) + " | " +
            attach_text(kernel) + " | " + (kernel.seal ? "holds" : "none") + " |\n";
  }
  return rows;
}

}  // namespace bpfwarden::loader

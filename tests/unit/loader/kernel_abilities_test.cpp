// What a kernel can hold, by what was found of it. No kernel is asked here: facts are written down,
// or come from a BTF that is made for the test.
//
// After a change of loader/btf/kernel_abilities.cpp, BPFWARDEN_UPDATE_DOCS=1 writes the table of
// docs/kernels.md anew.
#include "loader/btf/kernel_abilities.h"

#include <bpf/btf.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

#include "loader/btf/kernel_has.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {
namespace {

using policy::Signature;

const std::string kKernelReference = std::string(BPFWARDEN_SOURCE_DIR) + "/docs/kernels.md";

KernelAbilities known(std::string_view name) {
  const auto found = std::ranges::find(known_kernels(), name, &KnownKernel::name);
  REQUIRE(found != known_kernels().end());
  return abilities_of(found->facts);
}

// A BTF with an enum bpf_sig_keyring of these values, and nothing else.
void write_btf(const std::filesystem::path& file, std::initializer_list<const char*> keyrings) {
  const std::unique_ptr<btf, decltype(&btf__free)> types(btf__new_empty(), btf__free);
  REQUIRE(btf__add_enum(types.get(), "bpf_sig_keyring", 4) > 0);
  int64_t value = 0;
  for (const char* name : keyrings) REQUIRE(btf__add_enum_value(types.get(), name, value++) == 0);
  uint32_t size = 0;
  const void* bytes = btf__raw_data(types.get(), &size);
  std::ofstream(file, std::ios::binary)
      .write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
}

}  // namespace

TEST_CASE("docs/kernels.md holds the table of what kernels can hold") {
  std::ostringstream before;
  before << std::ifstream(kKernelReference, std::ios::binary).rdbuf();
  std::string text = before.str();
  const std::string begin = "<!-- kernels -->\n", end = "<!-- end -->\n";
  const size_t from = text.find(begin);
  REQUIRE(from != std::string::npos);
  text.replace(from, text.find(end, from) - from, begin + kernel_table());
  if (std::getenv("BPFWARDEN_UPDATE_DOCS") != nullptr)
    std::ofstream(kKernelReference, std::ios::binary) << text;
  else
    CHECK(before.str() == text);
}

TEST_CASE("the most that is told of a program is what somebody verifies") {
  CHECK(known("6.12 to 6.17").most == Signature::prog_used_maps);
  CHECK(known("6.12 to 6.17").verifier == Verifier::bpfwarden);
  for (const char* name : {"6.18 to 7.1", "7.2"}) {
    CHECK(known(name).most == Signature::prog_used_maps);
    CHECK(known(name).by_kernel == Signature::prog_only);
    CHECK(known(name).verifier == Verifier::both);
  }
  CHECK(known("7.3").most == Signature::prog_used_maps);
  CHECK(known("7.3").verifier == Verifier::kernel);
  CHECK(verification_text(known("7.2")) == "by the kernel, and maps bpfwarden: prog-used-maps");
  CHECK(verification_text(abilities_of({.signature_attr = true})) == "by the kernel: prog-only");
  CHECK(verification_text(known("6.12 to 6.17")) == "by bpfwarden: prog-used-maps");
  CHECK(verification_text(abilities_of({})) == "by nobody");
  CHECK(abilities_of({}) == KernelAbilities());
}

TEST_CASE("what bpfwarden verifies by itself is told of each kernel, by whom") {
  const auto itself = [](KernelFacts facts) {
    facts.verifies_by_itself = true;
    return abilities_of(facts);
  };
  for (const KnownKernel& one : known_kernels()) {
    INFO(one.name);
    const KernelAbilities kernel = itself(one.facts);
    CHECK(kernel.most == Signature::prog_used_maps);
    CHECK(kernel.by_kernel == abilities_of(one.facts).by_kernel);
    CHECK(kernel.verifier == (!one.facts.signature_attr ? Verifier::bpfwarden
                              : !one.facts.folded_maps  ? Verifier::both
                                                        : Verifier::kernel));
    CHECK(kernel.own_keyring == !one.facts.bpf_keyring_alone);
  }
  CHECK(verification_text(itself({})) == "by bpfwarden: prog-used-maps");
}

TEST_CASE("keyrings of bpfwarden's verify, but where .bpf alone does") {
  CHECK_FALSE(abilities_of({}).own_keyring);
  CHECK(known("7.3").own_keyring);
  CHECK_FALSE(known("7.3").bpf_keyring);
  CHECK(known("after 7.3").own_keyring);
  CHECK(known("after 7.3").bpf_keyring);
  CHECK_FALSE(known("after 7.3").verifies_in_bpf_keyring());  // it is closed, and empty
  const KernelAbilities alone = known("after 7.3, booted with `bpf.keyring_unsealed=1`");
  CHECK_FALSE(alone.own_keyring);
  CHECK(alone.verifies_in_bpf_keyring());
  CHECK_FALSE(known("7.3").verifies_in_bpf_keyring());
}

// Of BTF alone: that a kernel with it does what its documents say is not shown here.
TEST_CASE("the keyring .bpf is known by the name of its value in a BTF") {
  const test::TempDir folder;
  const auto facts_in = [&](std::initializer_list<const char*> keyrings) {
    write_btf(folder.path() / "btf", keyrings);
    REQUIRE(ask_btf_of(folder.path() / "btf"));
    return facts_of_kernel();
  };
  const KernelFacts with =
      facts_in({"BPF_SIG_KEYRING_NONE", "BPF_SIG_KEYRING_USER", "BPF_SIG_KEYRING_BPF"});
  CHECK(with.bpf_keyring);
  CHECK_FALSE(with.bpf_keyring_alone);  // that is said by the running kernel alone
  CHECK_FALSE(facts_in({"BPF_SIG_KEYRING_NONE", "BPF_SIG_KEYRING_USER"}).bpf_keyring);
  CHECK(facts_in({"BPF_SIG_KEYRING_NONE"}) == KernelFacts());
  CHECK_FALSE(ask_btf_of(folder.path() / "none"));
}

}  // namespace bpfwarden::loader

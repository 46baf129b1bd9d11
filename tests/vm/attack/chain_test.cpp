// Whose signature counts: every key between the trusted one and who signed.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "tests/vm/attack/chain.h"
#include "tests/vm/attack/control.h"

namespace bpfwarden::vm {
namespace {

constexpr size_t kLongest = 9;

std::vector<const Link*> first(const std::vector<Link>& chain, size_t count) {
  std::vector<const Link*> links;
  for (size_t i = 0; i < count; i++) links.push_back(&chain[i]);
  return links;
}

// A root, the CAs below it, and under each a leaf.
struct Tree {
  Link root{{.name = "root"}};
  keyring::KeySerial ring = root.make_ring();
  std::vector<Link> chain;
  std::vector<Link> leaves;  // leaves[n]: below n CAs

  explicit Tree(size_t wrong = SIZE_MAX, const Issued& otherwise = {})
      : chain(make_chain(root, kLongest - 1, wrong, otherwise)) {
    for (size_t n = 0; n < kLongest; n++)
      leaves.emplace_back(Issued{.name = "leaf " + std::to_string(n), .ca = false},
                          n == 0 ? root : chain[n - 1]);
  }

  // By the leaf below `n` CAs: a chain of n + 1 certificates.
  [[nodiscard]] Load signed_below(size_t n) const {
    return sign({}, {.signers = {&leaves[n]}, .carried = first(chain, n)}, ring);
  }
};

std::string trusts(const Link& root, const std::string& revoked = "") {
  return "[keys.ca]\nissuer = [\"" + root.file() + "\"]\n" +
         (revoked.empty() ? "" : "revoked = [\"" + revoked + "\"]\n") +
         "[[rules]]\nname = \"xdp\"\nallow = [\"xdp\"]\nsigned-by = [\"ca\"]\n";
}

bool kernel_takes(const Load& request) { return load(request).error == 0; }

const Control below_a_revoked_ca([] {
  const Tree tree;
  for (size_t n = 0; n < kLongest; n++)
    if (!kernel_takes(tree.signed_below(n))) return false;
  return true;
});

// What signs below a leaf: a certificate that the leaf issued.
struct BelowLeaf {
  Link root{{.name = "root"}};
  keyring::KeySerial ring = root.make_ring();
  Link leaf, sub, other;
  BelowLeaf(bool ca, const char* key_usage = nullptr)
      : leaf({.name = "leaf", .ca = ca, .key_usage = key_usage}, root),
        sub({.name = "sub", .ca = false}, leaf),
        other({.name = "other leaf", .ca = false}, root) {}

  [[nodiscard]] Load by_sub() const {
    return sign({}, {.signers = {&sub}, .carried = {&leaf}}, ring);
  }
  [[nodiscard]] Load by_leaf() const { return sign({}, {.signers = {&leaf}}, ring); }
  [[nodiscard]] Load by_other() const { return sign({}, {.signers = {&other}}, ring); }
};

const Control by_a_leafs_certificate([] { return kernel_takes(BelowLeaf(false).by_sub()); });
const Control by_a_ca_leafs_certificate([] { return kernel_takes(BelowLeaf(true).by_sub()); });

Load by_two(const BelowLeaf& links) {
  return sign({}, {.signers = {&links.leaf, &links.other}}, links.ring);
}

const Control by_two_signers([] { return kernel_takes(by_two(BelowLeaf(false))); });

// Two CAs that issued each other's certificates.
struct Loop {
  Link first{{.name = "a"}}, second{{.name = "b"}, first}, again{first, second, 1};
  Link leaf{{.name = "leaf", .ca = false}, second};

  [[nodiscard]] Load by_leaf(keyring::KeySerial ring) const {
    return sign({}, {.signers = {&leaf}, .carried = {&again, &second}}, ring);
  }
};

const Control in_a_loop([] {
  const Loop loop;
  return kernel_takes(loop.by_leaf(loop.second.make_ring()));
});

// A load that the verifier refuses, whoever signed it: it ends without a result.
Load broken_load() {
  Load broken;
  broken.insns.assign(sizeof(bpf_insn), 0);
  broken.insns[0] = BPF_JMP | BPF_EXIT;
  return broken;
}

const Control after_a_failed_load([] {
  (void)load(broken_load());
  return kernel_takes({});
});

}  // namespace

TEST_CASE("attack_sign_below_a_revoked_ca",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  below_a_revoked_ca.must_have_worked();
  Warden warden;
  const Tree tree;
  warden.apply("enforce", trusts(tree.root));
  for (size_t n = 0; n < kLongest; n++) {
    INFO("a chain of " << n + 1);
    CHECK(load(tree.signed_below(n)).error == 0);
  }
  for (const size_t revoked : {size_t{0}, size_t{3}, kLongest - 2}) {
    warden.apply("enforce", trusts(tree.root, tree.chain[revoked].file()));
    for (size_t n = 0; n < kLongest; n++) {
      INFO("a chain of " << n + 1 << ", CA " << revoked << " revoked");
      CHECK(load(tree.signed_below(n)).error == (n > revoked ? EPERM : 0));
    }
  }
}

TEST_CASE("attack_sign_with_a_certificate_that_a_revoked_leaf_issued",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  by_a_leafs_certificate.must_have_worked();
  by_a_ca_leafs_certificate.must_have_worked();
  Warden warden;
  for (const bool ca : {false, true}) {
    const BelowLeaf links(ca);
    warden.apply("enforce", trusts(links.root));
    CHECK(load(links.by_leaf()).error == 0);
    CHECK(load(links.by_sub()).error == (ca ? 0 : EPERM));
    warden.apply("enforce", trusts(links.root, links.leaf.file()));
    CHECK(load(links.by_leaf()).error == EPERM);
    CHECK(load(links.by_sub()).error == EPERM);
    CHECK(load(links.by_other()).error == 0);
  }
}

TEST_CASE("attack_issue_without_being_a_ca",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps][kernel:key_flags]") {
  by_a_leafs_certificate.must_have_worked();
  below_a_revoked_ca.must_have_worked();
  Warden warden;
  const Issued wrong[] = {{.ca = false},
                          {.ca = true, .key_usage = "critical,digitalSignature"},
                          {.ca = false, .key_usage = "critical,keyCertSign"}};
  for (const Issued& otherwise : wrong)
    for (const size_t at : {size_t{0}, size_t{4}, kLongest - 2}) {
      const Tree tree(at, otherwise);
      warden.apply("enforce", trusts(tree.root));
      for (size_t n = 0; n < kLongest; n++) {
        INFO("a chain of " << n + 1 << ", " << at << " is no CA");
        CHECK(load(tree.signed_below(n)).error == (n > at ? EPERM : 0));
      }
    }
  const Tree honest(2, {.ca = true, .key_usage = "critical,keyCertSign,digitalSignature"});
  warden.apply("enforce", trusts(honest.root));
  CHECK(load(honest.signed_below(5)).error == 0);
}

// The same CA key, certified by two roots.
TEST_CASE("attack_sign_below_a_revoked_ca_that_is_cross_signed",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  below_a_revoked_ca.must_have_worked();
  Warden warden;
  const Link root({.name = "root"}), foreign({.name = "foreign root"});
  const keyring::KeySerial ring = root.make_ring();
  const Link ours({.name = "crossed"}, root), theirs(ours, foreign, 1);
  const Link leaf({.name = "leaf", .ca = false}, ours);
  const Load one = sign({}, {.signers = {&leaf}, .carried = {&ours, &theirs}}, ring);
  const Load two = sign({}, {.signers = {&leaf}, .carried = {&theirs, &ours}}, ring);
  warden.apply("enforce", trusts(root));
  // The kernel follows the certificate that comes first in the message.
  CHECK((load(one).error == 0 || load(two).error == 0));
  for (const std::string& revoked : {ours.file(), theirs.file()}) {
    warden.apply("enforce", trusts(root, revoked));
    CHECK(load(one).error != 0);
    CHECK(load(two).error != 0);
  }
}

TEST_CASE("attack_sign_with_certificates_in_a_loop",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  in_a_loop.must_have_worked();
  Warden warden;
  const Loop loop;
  const Link root({.name = "root"}), good({.name = "good", .ca = false}, root);
  const keyring::KeySerial ring = root.make_ring();
  warden.apply("enforce", trusts(root));
  CHECK(load(loop.by_leaf(ring)).error == ENOKEY);
  CHECK(load(loop.by_leaf(loop.second.make_ring())).error == EPERM);
  CHECK(load(sign({}, {.signers = {&good}, .carried = {&loop.again, &loop.second}}, ring)).error ==
        0);
  warden.apply("enforce", trusts(loop.second));
  CHECK(load(loop.by_leaf(loop.second.make_ring())).error == 0);
}

TEST_CASE("attack_add_a_second_signer",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  by_two_signers.must_have_worked();
  Warden warden;
  const BelowLeaf links(false);
  warden.apply("enforce", trusts(links.root, links.leaf.file()));
  CHECK(load(by_two(links)).error == EPERM);
  CHECK(load(links.by_leaf()).error == EPERM);
  CHECK(load(links.by_other()).error == 0);
}

TEST_CASE(
    "allow_signed_attributes_and_a_certificate_of_no_use",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  const BelowLeaf links(false);
  const Link stranger({.name = "stranger"});
  warden.apply("enforce", trusts(links.root));
  const Load with_time = sign({}, {.signers = {&links.leaf}, .attributes = true}, links.ring);
  const Load with_more =
      sign({}, {.signers = {&links.leaf}, .carried = {&stranger, &links.other}}, links.ring);
  CHECK(load(with_time).error == 0);
  CHECK(load(with_more).error == 0);
  warden.apply("enforce", trusts(links.root, links.leaf.file()));
  CHECK(load(with_time).error == EPERM);
  CHECK(load(with_more).error == EPERM);
}

// The evidence of a load that netops signed, and the verifier refused, is for that load alone.
TEST_CASE("attack_use_the_evidence_of_a_load_that_failed",
          "[vm][attack][keyring][control][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_maps]") {
  after_a_failed_load.must_have_worked();
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"xdp\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n");
  const Load broken = broken_load().signed_by(warden.netops());
  const auto fails_first = [&](const Load& next) {
    const int error = load(broken).error;
    CHECK((error != 0 && error != EPERM));
    return load(next).error;
  };
  CHECK(fails_first({}) == EPERM);
  CHECK(fails_first(Load{}.signed_by(warden.stranger())) == EPERM);
  Load forged = Load{}.signed_by(warden.netops());
  forged.insns = Load::return_value(1);
  CHECK(load(forged).error == EKEYREJECTED);
  CHECK(load(Load{.insns = Load::return_value(1)}).error == EPERM);
  CHECK(fails_first(Load{}.signed_by(warden.netops())) == 0);
}

}  // namespace bpfwarden::vm

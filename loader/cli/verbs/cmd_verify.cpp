// bpfwarden verify: whose signature a bundle carries, and what a policy says of it. Needs no
// kernel.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/bundles/generated_loader.h"
#include "loader/bundles/skeleton_header.h"
#include "loader/bundles/verify_bundle.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/policies/active_policy.h"
#include "loader/signed/signed_policy_output.h"
#include "loader/text/json_members.h"
#include "policy/answers/explain.h"

namespace bpfwarden::loader {
namespace {

struct VerifyArguments {
  std::string file, certificate, policy;
  bool older_kernel = false;
};

struct Verified {
  keyring::Bundle bundle;
  keyring::CmsChain signer;
  std::optional<CompiledPolicy> compiled;
  std::vector<BundleDecision> decisions;

  [[nodiscard]] bool is_admitted() const {
    return std::ranges::all_of(decisions,
                               [](const BundleDecision& one) { return one.decision.allow != 0; });
  }
};

// Where the kernel verifies no map, bpfwarden does if the policy asks for it.
bool covers_maps(const Verified& verified, const VerifyArguments& options) {
  return !options.older_kernel || (verified.compiled && asks_for_maps(*verified.compiled->image));
}

const char* coverage_text(const Verified& verified, const VerifyArguments& options) {
  if (verified.bundle.kind == keyring::Bundle::Kind::program) return "prog-only: the instructions";
  if (covers_maps(verified, options))
    return "prog-used-maps: the loader's instructions and its metadata, with all programs in it";
  return verified.bundle.self_check_signature.empty()
             ? "nothing: the bundle has no loader for kernels before 7.3"
             : "prog-only: a loader that checks its metadata by itself";
}

nlohmann::json to_json(const Verified& verified, const VerifyArguments& options) {
  auto decisions = nlohmann::json::array();
  for (const BundleDecision& one : verified.decisions)
    decisions.push_back(
        object_of({{"program", one.name},
                   {"attach", one.attach},
                   {"decision", one.decision.allow != 0 ? "allow" : "deny"},
                   {"decided_by", policy::decider_text(verified.compiled->policy, one.decision)}}));
  const std::string covers = coverage_text(verified, options);
  const std::string word = covers.substr(0, covers.find(':'));
  const auto& signer = verified.signer.signer();
  const std::string issuer = verified.signer.below.empty() ? "" : verified.signer.trusted.subject;
  return object_of({{"file", options.file},
                    {"signature", word == "nothing" ? "unsigned" : word},
                    {"covers", covers},
                    {"subject", signer.subject},
                    {"fingerprint", digest_or_null(hex(signer.fingerprint))},
                    {"issuer", text_or_null(issuer)},
                    {"digest", digest_or_null(hex(keyring::sha256(verified.bundle.insns)))},
                    {"decisions", decisions},
                    {"admitted", verified.is_admitted()}});
}

void print(const Verified& verified, const VerifyArguments& options) {
  const nlohmann::json all = to_json(verified, options);
  std::printf("%s: the signature is good\n", options.file.c_str());
  const auto line = [&](const char* words, const char* name) {
    std::printf("  %-12s %s\n", words, all[name].get<std::string>().c_str());
  };
  line("covers", "covers");
  line("signer", "subject");
  line("fingerprint", "fingerprint");
  line("digest", "digest");
  if (!verified.signer.below.empty())
    std::printf("  %-12s %s\n", "issued by", verified.signer.trusted.subject.c_str());
  std::puts(
      "  names and attach points are claims of the file; the kernel decides by what is loaded");
  for (const BundleDecision& one : verified.decisions)
    std::printf("  %s (%s): %s by %s\n", one.name.c_str(), one.attach.c_str(),
                one.decision.allow != 0 ? "allowed" : "denied",
                policy::decider_text(verified.compiled->policy, one.decision).c_str());
}

// Exit code 2 and a message where the files themselves are wrong.
std::optional<std::vector<Certificate>> certificates_of(const VerifyArguments& options,
                                                        Verified& verified) {
  if (options.policy.empty()) {
    auto read = keyring::read_certificates(options.certificate);
    if (read) return std::move(*read);
    (void)print_error(read.error());
    return std::nullopt;
  }
  CheckedPolicy checked = check_policy_file(options.policy);
  verified.compiled = std::move(checked.compiled);
  if (verified.compiled) return verified.compiled->certificates;
  put_diagnostics(checked.diagnostics, checked.sources);
  return std::nullopt;
}

// A folder of `bpfwarden compile`. Who counts: the policy's own signers, and --cert.
int verify_policy(const VerifyArguments& options) {
  if (!options.policy.empty() || options.older_kernel)
    return print_error({0,
                        options.file + " is a policy: --policy and --older-kernel are for bundles",
                        "who else may have signed it: --cert CERT"}),
           kWrongUse;
  std::vector<Certificate> others;
  if (!options.certificate.empty()) {
    auto read = keyring::read_certificates(options.certificate);
    if (!read) return print_error(read.error()), kWrongUse;
    others = std::move(*read);
  }
  const auto policy = read_policy_folder(options.file);
  if (!policy) return print_error(policy.error());
  const auto signatures = judge_signatures(*policy, others);
  const bool is_enough = is_signed_enough(*policy, signatures);
  if (in_json()) {
    put_answer(signed_policy_json(options.file, *policy, signatures));
    return is_enough ? 0 : 1;
  }
  std::fputs(signed_policy_text(options.file, *policy, signatures).c_str(), stdout);
  std::printf("%zu of %zu signatures that count\n", count_signers(signatures),
              signatures_needed(*policy->image));
  return is_enough ? 0 : 1;
}

int run_verify(const VerifyArguments& options) {
  if (is_policy_folder(options.file)) return verify_policy(options);
  auto bundle = read_signed(options.file);
  if (!bundle) return print_error(bundle.error());
  if (Status described = require_described(*bundle); !described)
    return print_error(std::move(described).error().within(options.file));
  Verified verified = {std::move(*bundle), {}, {}, {}};
  const auto certificates = certificates_of(options, verified);
  if (!certificates) return kWrongUse;
  auto signer = find_bundle_signer(verified.bundle, *certificates);
  if (!signer) return print_error(std::move(signer).error().within(options.file));
  verified.signer = std::move(*signer);
  if (verified.compiled) {
    auto decisions = decide_on_bundle(verified.bundle, *verified.compiled, verified.signer,
                                      covers_maps(verified, options), std::time(nullptr));
    if (!decisions) return print_error(decisions.error());
    verified.decisions = std::move(*decisions);
  }
  if (in_json())
    put_answer(to_json(verified, options));
  else
    print(verified, options);
  return verified.is_admitted() ? 0 : 1;
}

}  // namespace

void add_verify(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<VerifyArguments>();
  CLI::App* verb = app.add_subcommand(
      "verify",
      "Say who signed a bundle or a policy, and what a policy says of a bundle; needs no kernel "
      "and no root");
  verb->add_option("file", options->file,
                   "what `bpfwarden sign`, `bpftool gen skeleton -L -S` or `bpfwarden compile` "
                   "wrote")
      ->required();
  auto* certificate =
      verb->add_option("--cert", options->certificate, "certificates of who may have signed it");
  auto* policy = verb->add_option("--policy", options->policy,
                                  "a policy: its certificates, and what it decides");
  certificate->excludes(policy);
  verb->add_flag("--older-kernel", options->older_kernel,
                 "as on Linux 6.18 to 7.2, which verifies what covers no map");
  verb->footer("example: bpfwarden verify xdp.bundle --policy policy.toml");
  verb->callback([options, certificate, policy, &chosen] {
    if (certificate->count() + policy->count() == 0 && !is_policy_folder(options->file))
      throw CLI::RequiredError("--cert or --policy");
    chosen = [options] { return run_verify(*options); };
  });
}

}  // namespace bpfwarden::loader

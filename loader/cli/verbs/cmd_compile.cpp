// bpfwarden compile: a policy made ready for a fleet, and signed. Needs no kernel and no root.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "keyring/cms.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/cli/options.h"
#include "loader/cli/signing.h"
#include "loader/signed/policy_folder.h"
#include "loader/signed/same_everywhere.h"
#include "loader/signed/signed_policy_output.h"
#include "policy/lint/lint.h"

namespace bpfwarden::loader {
namespace {

struct CompileArguments {
  std::string policy, output;
  SigningOptions signing;
  std::string signature;
  std::optional<uint64_t> confirm_within;
  bool every_image = false;
};

using Bytes = std::vector<uint8_t>;

const std::string& own_image() {
  static const std::string name = image_name(BW_IMAGE_ABI);
  return name;
}

// Those of --cert, or none.
Result<std::vector<Certificate>> given_certificates(const CompileArguments& options) {
  if (options.signing.certificate.empty()) return std::vector<Certificate>();
  return keyring::read_certificates(options.signing.certificate);
}

// Who signed may be known by --cert alone; whether that counts, the policy says.
Result<std::vector<PolicySignature>> judge(const SignedPolicy& policy,
                                           const CompileArguments& options) {
  const auto others = given_certificates(options);
  if (!others) return std::unexpected(others.error());
  auto judged = judge_signatures(policy, *others);
  const auto by_policy = judge_signatures(policy, {});
  for (size_t i = 0; i < judged.size(); i++) judged[i].counts = by_policy[i].counts;
  return judged;
}

// What is in the folder now, as whoever applies it reads it.
int tell(const std::string& folder, const CompileArguments& options) {
  const auto policy = read_policy_folder(folder);
  if (!policy) return print_error(policy.error());
  const auto signatures = judge(*policy, options);
  if (!signatures) return print_error(signatures.error());
  const auto& judged = *signatures;
  if (in_json()) return put_answer(signed_policy_json(folder, *policy, judged)), 0;
  std::fputs(signed_policy_text(folder, *policy, judged).c_str(), stdout);
  if (policy->signatures.empty())
    std::printf(
        "next: bpfwarden compile %s --key KEY --cert CERT, or elsewhere `openssl cms "
        "-sign -binary -nocerts -noattr -keyid -md sha256 -outform DER -in %s/%s` (without "
        "-nocerts and -keyid where the policy names the issuer), then bpfwarden compile %s "
        "--attach-signature FILE\n",
        folder.c_str(), folder.c_str(), own_image().c_str(), folder.c_str());
  return 0;
}

bool is_signed_already(const FolderFiles& files, const std::string& image, const Certificate& by) {
  if (!is_signed_by(files, image, by)) return false;
  put_note(image + " is signed by " + by.subject + " already");
  return true;
}

// Signs the image unless this key has. The added file is then in `added`, too.
Status sign_image(FolderFiles& files, const std::string& image, const Hand& hand,
                  FolderFiles& added) {
  if (is_signed_already(files, image, hand.certificate)) return {};
  auto signature = keyring::sign_detached(files.at(image), *hand.key, hand.certificate);
  if (!signature) return std::unexpected(std::move(signature).error());
  const auto name = add_signature(files, image, *signature);
  if (!name) return std::unexpected(name.error());
  added[*name] = std::move(*signature);
  return {};
}

// ---- A policy becomes a folder ------------------------------------------------------------------

Result<CheckedPolicy> read_policy(const std::string& file) {
  CheckedPolicy checked = check_policy_file(file);
  if (checked.compiled) {
    auto more = not_looked_up(checked.compiled->policy);
    checked.accepted += policy::drop_accepted(more, checked.compiled->policy);
    std::ranges::move(more, std::back_inserter(checked.diagnostics));
  }
  put_diagnostics(checked.diagnostics, checked.sources);
  if (!checked.compiled)
    return unreadable(fail("the policy has errors; nothing was written", "correct them"));
  return checked;
}

Status make_folder(const CompileArguments& options) {
  const auto checked = read_policy(options.policy);
  if (!checked) return std::unexpected(checked.error());
  auto files = folder_files(*checked, static_cast<uint32_t>(options.confirm_within.value_or(0)));
  if (!files) return std::unexpected(std::move(files).error());
  const auto notes = keep_earlier(*files, options.output);
  if (!notes) return std::unexpected(notes.error());
  FolderFiles nobody_asks;
  if (!options.signing.key.empty()) {
    const auto hand = open_hand(options.signing);
    if (!hand) return std::unexpected(hand.error());
    if (Status done = sign_image(*files, own_image(), *hand, nobody_asks); !done) return done;
  }
  if (Status written = write_folder(options.output, *files); !written) return written;
  for (const std::string& note : *notes) put_note(note);
  return {};
}

// ---- A folder gets another signature ------------------------------------------------------------

struct Folder {
  SignedPolicy policy;
  FolderFiles files;  // images and signatures; the own image is the one that was compared
};

Result<Folder> open_folder(const std::string& path) {
  auto policy = read_policy_folder(path);
  if (!policy) return std::unexpected(std::move(policy).error());
  auto files = read_images(path);
  if (!files) return std::unexpected(std::move(files).error());
  const auto bytes = signed_bytes(*policy->image);
  (*files)[own_image()] = {bytes.begin(), bytes.end()};
  return Folder{std::move(*policy), std::move(*files)};
}

Result<FolderFiles> sign_folder(Folder& folder, const CompileArguments& options) {
  const auto hand = open_hand(options.signing);
  if (!hand) return std::unexpected(hand.error());
  FolderFiles added;
  for (const uint32_t abi : folder.policy.abis) {
    const std::string image = image_name(abi);
    if (abi == BW_IMAGE_ABI || options.every_image) {
      if (Status done = sign_image(folder.files, image, *hand, added); !done)
        return std::unexpected(std::move(done).error());
    } else {
      put_note(image +
               " is not signed: only a bpfwarden of that version can compare it with the "
               "text; --every-image signs it unseen");
    }
  }
  return added;
}

// Of the image that it fits.
Result<FolderFiles> attach_signature(Folder& folder, const CompileArguments& options) {
  auto der = bpfwarden::read_file(options.signature, kMaxPolicySignature);
  if (!der) return unreadable(std::move(der).error());
  const auto others = given_certificates(options);
  if (!others) return std::unexpected(others.error());
  const CompiledPolicy& compiled = *folder.policy.checked.compiled;
  Error problem;
  for (const uint32_t abi : folder.policy.abis) {
    const std::string image = image_name(abi);
    const auto judged = judge_signature(compiled, folder.files.at(image), *der, *others);
    if (abi == BW_IMAGE_ABI) problem = judged.problem;
    if (!judged.by) continue;
    if (is_signed_already(folder.files, image, judged.by->signer())) return FolderFiles();
    const auto name = add_signature(folder.files, image, *der);
    if (!name) return std::unexpected(name.error());
    FolderFiles added;
    added[*name] = std::move(*der);
    return added;
  }
  problem.hint = "sign the very bytes of " + options.policy + "/" + own_image() +
                 ", and give the certificate of who signed: --cert CERT";
  return std::unexpected(std::move(problem).within(options.signature));
}

Status extend_folder(const CompileArguments& options) {
  auto folder = open_folder(options.policy);
  if (!folder) return std::unexpected(std::move(folder).error());
  const auto added = options.signature.empty() ? sign_folder(*folder, options)
                                               : attach_signature(*folder, options);
  if (!added) return std::unexpected(added.error());
  return add_to_folder(options.policy, *added);
}

// ---- The verb -----------------------------------------------------------------------------------

std::optional<Error> misuse_of_folder(const CompileArguments& options) {
  if (!options.output.empty() || options.confirm_within)
    return Error{0,
                 options.policy + " is a folder, which gets another signature and stays as it is",
                 "to compile its text again, name that: " + options.policy + "/" + kPolicyText};
  const bool signs = !options.signing.key.empty() && !options.signing.certificate.empty();
  if (signs != options.signature.empty())
    return Error{0, "nothing says who signs",
                 "give --key with --cert, or --attach-signature with a signature of " +
                     options.policy + "/" + own_image()};
  return std::nullopt;
}

std::optional<Error> misuse_of_policy(const CompileArguments& options) {
  if (options.output.empty() || options.output == kStandardStream)
    return Error{0, "nothing says where the folder goes", "give it a name: -o NAME.bpfpolicy"};
  if (!options.signature.empty() || options.every_image)
    return Error{0, "there is no folder yet to add a signature to",
                 "compile it first: bpfwarden compile " + options.policy + " -o NAME.bpfpolicy"};
  if (options.signing.key.empty() != options.signing.certificate.empty())
    return Error{0, "a key signs with its certificate", "give --key and --cert, or none of them"};
  if (options.confirm_within.value_or(0) > std::numeric_limits<uint32_t>::max())
    return Error{0, "--confirm-within is too long", "give hours at most"};
  return std::nullopt;
}

int run_compile(const CompileArguments& options) {
  std::error_code ignored;  // what cannot be looked at is no folder
  const bool is_folder = std::filesystem::is_directory(options.policy, ignored);
  if (const auto wrong = is_folder ? misuse_of_folder(options) : misuse_of_policy(options))
    return print_error(*wrong), kWrongUse;
  const Status done = is_folder ? extend_folder(options) : make_folder(options);
  if (!done) return print_error(done.error());
  return tell(is_folder ? options.policy : options.output, options);
}

}  // namespace

void add_compile(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<CompileArguments>();
  CLI::App* verb = app.add_subcommand(
      "compile", "Compile a policy for other hosts, and sign it; needs no kernel and no root");
  verb->add_option("policy", options->policy,
                   "a policy (TOML); or the folder that one became, to sign that once more")
      ->required();
  verb->add_option("-o,--output", options->output,
                   "the folder to write, NAME.bpfpolicy: the policy's files, its image, and "
                   "signatures");
  auto* key = add_signing(*verb, options->signing);
  verb->add_option("--attach-signature", options->signature,
                   "add the signature (CMS, DER) in this file, which was made elsewhere")
      ->excludes(key);
  verb->add_option("--confirm-within", options->confirm_within,
                   "among what is signed: unless `confirm` comes within this time (30s, 5m, 1h), "
                   "hosts go back by themselves")
      ->transform(as_seconds());
  verb->add_flag(
      "--every-image", options->every_image,
      "sign images for other versions, too, which this one cannot compare with the text");
  verb->footer(
      "example: bpfwarden compile policy.toml -o edge.bpfpolicy --key ops.key --cert ops.pem");
  verb->callback([options, &chosen] { chosen = [options] { return run_compile(*options); }; });
}

}  // namespace bpfwarden::loader

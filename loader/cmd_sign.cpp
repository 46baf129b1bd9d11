// bpfwarden sign: from an object and a key to a bundle that `run` loads.
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "keyring/cms.h"
#include "keyring/file.h"
#include "loader/cmd.h"
#include "loader/sign_object.h"

namespace bpfwarden::loader {
namespace {

struct Options {
  std::string object, key, certificate, output;
  std::string to_be_signed;  // prefix of the files to write them to
  std::string signature, self_check_signature;
  bool prog_only = false;
  bool json = false;
};

using Bytes = std::vector<uint8_t>;

constexpr size_t kMaxSignature = 8 << 10;

// The signatures that a bundle needs, each over its own bytes.
Status fill(
    keyring::Bundle& bundle, const Options& options,
    const std::function<Result<Bytes>(const Bytes& content, const std::string& file)>& sign) {
  auto signature = sign(keyring::to_be_signed(bundle), options.signature);
  if (!signature) return std::unexpected(std::move(signature).error());
  bundle.signature = std::move(*signature);
  const bool is_left_out = !options.signature.empty() && options.self_check_signature.empty();
  if (options.prog_only || is_left_out) return {};
  auto second = sign(keyring::self_checking_insns(bundle), options.self_check_signature);
  if (!second) return std::unexpected(std::move(second).error());
  bundle.self_check_signature = std::move(*second);
  return {};
}

// Made elsewhere, from what --emit-tbs wrote: taken only if it fits.
Result<Bytes> read_signature(const Bytes& content, const std::string& file,
                             const keyring::Certificate& signer) {
  auto der = keyring::read_file(file, kMaxSignature);
  if (!der) return der;
  if (Status good = keyring::verify_detached(content, *der, signer); !good) {
    Error error = std::move(good).error().within(file);
    error.hint = "sign the very bytes that `bpfwarden sign --emit-tbs` writes for this object";
    return std::unexpected(std::move(error));
  }
  return der;
}

Result<keyring::Bundle> unsigned_bundle(const Options& options) {
  return options.prog_only ? make_program_bundle(options.object)
                           : make_loader_bundle(options.object);
}

Result<keyring::Bundle> sign(const Options& options) {
  auto certificates = keyring::read_certificates(options.certificate);
  if (!certificates) return std::unexpected(std::move(certificates).error());
  const keyring::Certificate& signer = certificates->front();
  std::optional<keyring::PrivateKey> key;
  if (!options.key.empty()) {
    auto read = keyring::read_private_key(options.key);
    if (!read) return std::unexpected(std::move(read).error());
    key = std::move(*read);
  }
  auto bundle = unsigned_bundle(options);
  if (!bundle) return bundle;
  const Status filled = fill(*bundle, options, [&](const Bytes& content, const std::string& file) {
    return key ? keyring::sign_detached(content, *key, signer)
               : read_signature(content, file, signer);
  });
  if (!filled) return std::unexpected(filled.error());
  bundle->certificate_der = signer.der;
  return bundle;
}

void print(const Options& options, const keyring::Bundle& bundle) {
  const char* covers = options.prog_only ? "prog-only" : "prog-used-maps";
  const std::string digest = keyring::hex(keyring::sha256(bundle.insns));
  if (options.json) {
    const nlohmann::json whole = {{"file", options.output},
                                  {"signature", covers},
                                  {"programs", bundle.programs.size()},
                                  {"self_check", !bundle.self_check_signature.empty()},
                                  {"digest", digest}};
    std::puts(whole.dump(2).c_str());
  } else {
    std::printf("%s: %zu programs, signature %s, sha256:%s\n", options.output.c_str(),
                bundle.programs.size(), covers, digest.c_str());
  }
}

// The same object and tool always give the same bytes.
int emit(const Options& options) {
  const auto bundle = unsigned_bundle(options);
  if (!bundle) return report(bundle.error());
  const std::string file = options.to_be_signed + ".tbs";
  const std::string second = options.to_be_signed + ".self-check.tbs";
  if (auto written = keyring::replace_file(file, keyring::to_be_signed(*bundle)); !written)
    return report(written.error());
  if (options.prog_only) return std::puts(file.c_str()) < 0;
  if (auto written = keyring::replace_file(second, keyring::self_checking_insns(*bundle)); !written)
    return report(written.error());
  std::printf(
      "%s\n%s\nnext: sign each with `openssl cms -sign -binary -nocerts -noattr -keyid -md "
      "sha256 -outform DER`, then bpfwarden sign --attach-signature\n",
      file.c_str(), second.c_str());
  return 0;
}

int run_sign(const Options& options) {
  if (!options.to_be_signed.empty()) return emit(options);
  if (options.certificate.empty() || options.output.empty() ||
      options.key.empty() == options.signature.empty()) {
    (void)report({0, "nothing says who signs, or where the bundle goes",
                  "give --cert and -o with --key or --attach-signature; or --emit-tbs"});
    return kWrongUse;
  }
  const auto bundle = sign(options);
  if (!bundle) return report(bundle.error());
  if (auto written = keyring::write_bundle(options.output, *bundle); !written)
    return report(written.error());
  print(options, *bundle);
  return 0;
}

}  // namespace

void add_sign(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("sign", "Sign a BPF object; writes a bundle for `run`");
  verb->add_option("object", options->object, "the object (x.bpf.o)")->required();
  auto* key = verb->add_option("--key", options->key, "private key (PEM)");
  verb->add_option("--cert", options->certificate, "its certificate (PEM or DER)");
  auto* output = verb->add_option("-o,--output", options->output, "the bundle to write");
  auto* emit =
      verb->add_option("--emit-tbs", options->to_be_signed,
                       "write what is to be signed to PREFIX.tbs and PREFIX.self-check.tbs");
  emit->excludes(key)->excludes(output);
  auto* attach = verb->add_option("--attach-signature", options->signature,
                                  "take the signature (DER) of PREFIX.tbs from this file");
  attach->excludes(key)->excludes(emit);
  verb->add_option("--attach-self-check-signature", options->self_check_signature,
                   "and that of PREFIX.self-check.tbs, for Linux 6.18 to 7.2")
      ->needs(attach);
  verb->add_flag("--prog-only", options->prog_only,
                 "sign the one bare program of the object directly, not a loader");
  verb->add_flag("--json", options->json, "the result as JSON");
  verb->footer(
      "example: bpfwarden sign xdp.bpf.o --key netops.key --cert netops.pem -o xdp.bundle");
  verb->callback([options, &chosen] { chosen = [options] { return run_sign(*options); }; });
}

}  // namespace bpfwarden::loader

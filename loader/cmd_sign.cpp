// bpfwarden sign: from an object and a key to a bundle that `run` loads.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "keyring/cms.h"
#include "loader/cmd.h"
#include "loader/sign_object.h"

namespace bpfwarden::loader {
namespace {

struct Options {
  std::string object, key, certificate, output;
  bool prog_only = false;
  bool json = false;
};

Result<keyring::Bundle> sign(const Options& options) {
  auto key = keyring::read_private_key(options.key);
  if (!key) return std::unexpected(std::move(key).error());
  auto certificates = keyring::read_certificates(options.certificate);
  if (!certificates) return std::unexpected(std::move(certificates).error());
  auto bundle =
      options.prog_only ? make_program_bundle(options.object) : make_loader_bundle(options.object);
  if (!bundle) return bundle;
  const keyring::Certificate& signer = certificates->front();
  auto signature = keyring::sign_detached(keyring::to_be_signed(*bundle), *key, signer);
  if (!signature) return std::unexpected(std::move(signature).error());
  bundle->signature = std::move(*signature);
  bundle->certificate_der = signer.der;
  return bundle;
}

int run_sign(const Options& options) {
  auto bundle = sign(options);
  if (!bundle) return report(bundle.error());
  if (auto written = keyring::write_bundle(options.output, *bundle); !written)
    return report(written.error());
  const char* covers = options.prog_only ? "prog-only" : "prog-used-maps";
  const std::string digest = keyring::hex(keyring::sha256(bundle->insns));
  if (options.json) {
    const nlohmann::json whole = {{"file", options.output},
                                  {"signature", covers},
                                  {"programs", bundle->programs.size()},
                                  {"digest", digest}};
    std::puts(whole.dump(2).c_str());
  } else {
    std::printf("%s: %zu programs, signature %s, sha256:%s\n", options.output.c_str(),
                bundle->programs.size(), covers, digest.c_str());
  }
  return 0;
}

}  // namespace

void add_sign(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("sign", "Sign a BPF object; writes a bundle for `run`");
  verb->add_option("object", options->object, "the object (x.bpf.o)")->required();
  verb->add_option("--key", options->key, "private key (PEM)")->required();
  verb->add_option("--cert", options->certificate, "its certificate (PEM or DER)")->required();
  verb->add_option("-o,--output", options->output, "the bundle to write")->required();
  verb->add_flag("--prog-only", options->prog_only,
                 "sign the one bare program of the object directly, not a loader");
  verb->add_flag("--json", options->json, "the result as JSON");
  verb->footer(
      "example: bpfwarden sign xdp.bpf.o --key netops.key --cert netops.pem -o xdp.bundle");
  verb->callback([options, &chosen] { chosen = [options] { return run_sign(*options); }; });
}

}  // namespace bpfwarden::loader

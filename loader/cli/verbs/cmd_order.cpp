// bpfwarden order: what those sign who may end the policy of a host, or bring back the one before.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "keyring/cms.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/cli/signing.h"
#include "loader/rollout/by_order.h"
#include "loader/signed/request.h"
#include "loader/signed/signed_policy.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

struct OrderArguments {
  std::string file;
  SigningOptions signing;
};

// "end the policy 'edge' version 8", "go back from 'edge' version 8 to version 7"
std::string asks_text(const bw_request& request) {
  const std::string name = std::string("'") + request.policy_name + "' version ";
  const std::string version = std::to_string(request.policy_version);
  if (request.verb == BW_REQUEST_ROLLBACK)
    return "go back from " + name + version + " to version " + std::to_string(request.to_version);
  return "end the policy " + name + version;
}

// What it asks for, and how many have signed it.
int tell(const std::string& file, const bw_request& request, size_t signatures) {
  const bool goes_back = request.verb == BW_REQUEST_ROLLBACK;
  if (in_json())
    return put_answer(object_of({{"file", file},
                                 {"order", request_word(request.verb)},
                                 {"policy", request.policy_name},
                                 {"policy_version", request.policy_version},
                                 {"to_version", goes_back ? json(request.to_version) : json()},
                                 {"challenge", challenge_text(request)},
                                 {"signature_count", signatures}})),
           0;
  std::printf("%s: %s\n  challenge    %s\n  signatures   %zu\n", file.c_str(),
              asks_text(request).c_str(), challenge_text(request).c_str(), signatures);
  return 0;
}

int tell_file(const std::string& file) {
  const auto request = read_request(file);
  if (!request) return print_error(request.error());
  const auto signatures = request_signatures(file);
  if (!signatures) return print_error(signatures.error());
  return tell(file, *request, signatures->size());
}

// Signatures that lie there would be taken for those of the new one.
Status require_no_others(const std::string& file, const bw_request& request) {
  if (file == kStandardStream) return {};
  const auto signatures = request_signatures(file);
  if (signatures && signatures->empty()) return {};
  const auto there = read_request(file);
  if (signatures && there && std::ranges::equal(signed_bytes(*there), signed_bytes(request)))
    return {};
  return fail("signatures of another order lie beside " + file, "write to a new file");
}

int run_make(bw_request_verb verb, const OrderArguments& options) {
  const auto request = make_request(verb);
  if (!request) return print_error(request.error());
  if (Status alone = require_no_others(options.file, *request); !alone)
    return print_error(alone.error());
  if (Status written = write_output(options.file, signed_bytes(*request)); !written)
    return print_error(written.error());
  if (options.file == kStandardStream) {
    answer_on_stderr();
    return in_json() ? tell(options.file, *request, 0) : 0;
  }
  const int told = tell_file(options.file);
  if (!in_json())
    std::printf(
        "next: where the key is, bpfwarden order sign %s --key KEY --cert CERT; then, until the "
        "next boot, bpfwarden %s --order %s here\n",
        options.file.c_str(), request_word(request->verb), options.file.c_str());
  return told;
}

Result<bool> has_signed(const OrderArguments& options, const bw_request& request,
                        const Certificate& by) {
  const auto signatures = request_signatures(options.file);
  if (!signatures) return std::unexpected(signatures.error());
  return std::ranges::any_of(*signatures, [&](const std::vector<uint8_t>& one) {
    return keyring::verify_detached(signed_bytes(request), one, by).has_value();
  });
}

Status sign_order(const OrderArguments& options) {
  const auto request = read_request(options.file);
  if (!request) return std::unexpected(request.error());
  const auto hand = open_hand(options.signing);
  if (!hand) return std::unexpected(hand.error());
  const auto is_signed = has_signed(options, *request, hand->certificate);
  if (!is_signed) return std::unexpected(is_signed.error());
  if (*is_signed) {
    put_note(options.file + " is signed by " + hand->certificate.subject + " already");
    return {};
  }
  const auto signature =
      keyring::sign_detached(signed_bytes(*request), *hand->key, hand->certificate);
  if (!signature) return std::unexpected(signature.error());
  const auto name = add_request_signature(options.file, *signature);
  return name ? Status() : std::unexpected(name.error());
}

int run_sign_order(const OrderArguments& options) {
  if (Status done = sign_order(options); !done) return print_error(done.error());
  return tell_file(options.file);
}

void add_make(CLI::App& order, Command& chosen, bw_request_verb verb, const char* name,
              const char* about) {
  auto options = std::make_shared<OrderArguments>();
  CLI::App* made = order.add_subcommand(name, about);
  made->add_option("-o,--output", options->file, "the file to write, which is what is signed")
      ->required();
  made->footer(std::string("example: bpfwarden order ") + name + " -o " + name + ".order");
  made->callback(
      [options, verb, &chosen] { chosen = [options, verb] { return run_make(verb, *options); }; });
}

void add_sign_order(CLI::App& order, Command& chosen) {
  auto options = std::make_shared<OrderArguments>();
  CLI::App* verb = order.add_subcommand("sign", "Sign an order; needs no kernel and no root");
  verb->add_option("file", options->file, "the order; signatures go beside it")->required();
  auto* key = add_signing(*verb, options->signing);
  key->required();
  verb->get_option("--cert")->required();
  verb->footer("example: bpfwarden order sign off.order --key ops.key --cert ops.pem");
  verb->callback([options, &chosen] { chosen = [options] { return run_sign_order(*options); }; });
}

void add_show_order(CLI::App& order, Command& chosen) {
  auto options = std::make_shared<OrderArguments>();
  CLI::App* verb = order.add_subcommand("show", "Say what an order asks for, before it is signed");
  verb->add_option("file", options->file, "the order")->required();
  verb->footer("example: bpfwarden order show off.order");
  verb->callback([options, &chosen] { chosen = [options] { return tell_file(options->file); }; });
}

}  // namespace

void add_order(CLI::App& app, Command& chosen) {
  CLI::App* verb = app.add_subcommand(
      "order", "What is signed to end a signed policy, or to bring back the one before");
  verb->require_subcommand(1);
  add_make(*verb, chosen, BW_REQUEST_OFF, "off", "Write an order to end the policy of this host");
  add_make(*verb, chosen, BW_REQUEST_ROLLBACK, "rollback",
           "Write an order to bring back the policy before on this host");
  add_sign_order(*verb, chosen);
  add_show_order(*verb, chosen);
  verb->footer("example: bpfwarden order off -o off.order");
}

}  // namespace bpfwarden::loader

// bpfwarden enrol: who may sign programs, into the keyring `.bpf`, in the initramfs.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "keyring/enrol.h"
#include "keyring/verifiers.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/policies/bpf_keyring.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

struct EnrolArguments {
  std::vector<std::filesystem::path> named;
  bool only_list = false, only_if_saved = false;
};

const char* outcome_word(keyring::EnrolOutcome outcome) {
  switch (outcome) {
    case keyring::EnrolOutcome::added:
      return "added";
    case keyring::EnrolOutcome::present:
      return "present";
    case keyring::EnrolOutcome::refused:
      break;
  }
  return "refused";
}

// `outcome`: null where nothing was done.
nlohmann::json enrolled_json(const Certificate& certificate, const nlohmann::json& outcome) {
  return object_of({{"file", certificate.path},
                    {"subject", certificate.subject},
                    {"fingerprint", fingerprint_text(certificate)},
                    {"outcome", outcome}});
}

void answer(const nlohmann::json& list, const nlohmann::json& key_count) {
  put_answer(object_of({{"certificates", list}, {"key_count", key_count}}));
}

// Each on standard error; the status of the first, 0 where there is none.
int print_refused(const std::vector<Error>& refused) {
  int status = 0;
  for (const Error& error : refused) {
    const int code = print_error(error);
    if (status == 0) status = code;
  }
  return status;
}

int run_list(const std::vector<Certificate>& certificates) {
  if (certificates.empty())
    return print_error({0, "there is no certificate to enrol",
                        "put one where VOA has it: /etc/voa/" + keyring::os_names().back() +
                            "/kernel-keyring/bpf/x509/NAME-certificate.pem"});
  auto list = nlohmann::json::array();
  for (const Certificate& certificate : certificates) {
    list.push_back(enrolled_json(certificate, nullptr));
    if (!in_json()) std::printf("%s\n", certificate.path.c_str());
  }
  if (in_json()) answer(list, nullptr);
  return 0;
}

// What became of each; of those that were refused the errors.
std::vector<Error> tell(const std::vector<Certificate>& certificates,
                        const keyring::Enrolment& enrolment) {
  std::vector<Error> refused;
  auto list = nlohmann::json::array();
  for (size_t i = 0; i < certificates.size(); i++) {
    const keyring::EnrolledCertificate& one = enrolment.certificates[i];
    const char* word = outcome_word(one.outcome);
    list.push_back(enrolled_json(certificates[i], word));
    if (one.outcome == keyring::EnrolOutcome::refused)
      refused.push_back(one.error);
    else if (!in_json())
      std::printf("%s: %s (%s)\n", certificates[i].path.c_str(), word,
                  certificates[i].subject.c_str());
  }
  if (in_json())
    answer(list, enrolment.key_count);
  else
    std::printf(".bpf has %zu %s, and was closed %s\n", enrolment.key_count,
                enrolment.key_count == 1 ? "key" : "keys", enrolment.was_closed ? "before" : "now");
  return refused;
}

int run_enrolment(const std::vector<Certificate>& certificates) {
  const auto before = keys_in_bpf_keyring();
  if (!before) return print_error(before.error());
  const auto enrolment = keyring::enrol(keyring::kBpfKeyring, certificates);
  if (!enrolment) return print_error(enrolment.error());
  const int status = print_refused(tell(certificates, *enrolment));
  if (status != 0 || enrolment->key_count != 0) return status;
  return print_error({0, "the keyring .bpf is closed without a key: nothing is verified in it",
                      "put certificates where `bpfwarden enrol --list` finds them, make the "
                      "initramfs anew, and reboot"});
}

int run_enrol(const EnrolArguments& options) {
  if (options.only_if_saved) {
    const auto wanted = confirmed_policy_wants_bpf_keyring();
    if (!wanted) return print_error(wanted.error());
    if (!*wanted) {
      if (in_json()) answer(nlohmann::json::array(), nullptr);
      if (!options.only_list)
        put_note("the confirmed policy has no keyring = \"bpf\": nothing was done");
      return 0;
    }
  }
  const keyring::Verifiers found =
      options.named.empty() ? keyring::find_verifiers() : keyring::read_verifiers(options.named);
  const int unread = print_refused(found.refused);
  // What was refused is no reason to leave the keyring open.
  const int status =
      options.only_list ? run_list(found.certificates) : run_enrolment(found.certificates);
  return unread != 0 ? unread : status;
}

}  // namespace

void add_enrol(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<EnrolArguments>();
  CLI::App* verb =
      app.add_subcommand("enrol", "Put certificates into the kernel's keyring .bpf, and close it");
  verb->add_option("file", options->named,
                   "certificates, and folders of NAME-certificate.pem; without, those of "
                   "{/etc,/run,/usr/local/share,/usr/share}/voa");
  verb->add_flag("--list", options->only_list, "name the files, and touch no keyring");
  verb->add_flag("--saved", options->only_if_saved,
                 "only where the confirmed policy has keyring = \"bpf\"");
  verb->footer("example: bpfwarden enrol --list");
  verb->callback([options, &chosen] { chosen = [options] { return run_enrol(*options); }; });
}

}  // namespace bpfwarden::loader

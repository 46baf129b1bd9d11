// bpfwarden check: everything that is wrong with a policy, in one run.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/btf/kernel_has.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/policies/diagnostic_output.h"
#include "loader/policies/host_targets.h"
#include "loader/policies/kernel_fit.h"
#include "loader/policies/kernel_symbols.h"
#include "loader/policies/policy_file.h"
#include "loader/text/json_members.h"
#include "policy/lint/lint.h"

namespace bpfwarden::loader {
namespace {

struct CheckArguments {
  std::vector<std::string> files;
  std::string btf;  // empty: the host's
  std::string format = "text";
  bool fail_on_warn = false;
  bool verbose = false;
};

void print_files(const CheckedPolicy& checked) {
  for (const policy::SourceFile& source : checked.sources)
    std::printf("%s: read\n", source.name.c_str());
  for (const auto& [named, files] : checked.snapshot.certificates)
    for (const CertificateFile& file : files) std::printf("%s: read\n", file.path.c_str());
  for (const policy::PassedOver& other : checked.passed_over)
    std::printf("%s: not read, %s\n", other.file.c_str(), other.why.c_str());
}

void print(const std::string& file, const CheckedPolicy& checked) {
  std::fputs(policy::render_all(checked.diagnostics, checked.sources).c_str(), stdout);
  if (!checked.compiled) return;
  std::printf(
      "%s: ok, %zu rules, %zu warnings%s\n", file.c_str(), checked.compiled->policy.rules.size(),
      checked.diagnostics.size(),
      checked.accepted == 0 ? "" : (", " + std::to_string(checked.accepted) + " accepted").c_str());
}

// With --btf the host is not asked.
Result<TargetNames> names_at_hand(const CheckArguments& options) {
  if (options.btf.empty()) return TargetNames::of_host();
  if (auto asked = ask_btf_of(options.btf); !asked)
    return std::unexpected(std::move(asked).error());
  return TargetNames::of_file(options.btf);
}

// Of the names, and where the kernel's symbols can be read; what else the host has is for `apply`
// to look up.
void add_host_warnings(CheckedPolicy& checked, const TargetNames& names) {
  if (!checked.compiled) return;
  std::ranges::move(missing_targets(checked.compiled->policy, names),
                    std::back_inserter(checked.diagnostics));
  // Of another kernel. What this one is says nothing of where the policy is for.
  if (!names.is_host())
    std::ranges::move(held_against(*checked.compiled, abilities_of_kernel(), Occasion::boot),
                      std::back_inserter(checked.diagnostics));
  if (!names.is_host() || !names_functions(checked.compiled->policy)) return;
  const auto symbols = KernelSymbols::read(kKernelSymbols);
  if (!symbols) return;
  auto found = find_functions(*checked.compiled, *symbols);
  if (!found) return;
  checked.accepted += policy::drop_accepted(*found, checked.compiled->policy);
  std::ranges::move(*found, std::back_inserter(checked.diagnostics));
}

bool is_good(const CheckedPolicy& checked, const CheckArguments& options) {
  return checked.compiled && (checked.diagnostics.empty() || !options.fail_on_warn);
}

DiagnosticFormat format_of(const CheckArguments& options) {
  if (in_json()) return DiagnosticFormat::json;
  return diagnostic_format(options.format).value_or(DiagnosticFormat::text);
}

void print_encoded(const std::vector<policy::Diagnostic>& found, DiagnosticFormat format) {
  const auto text = format == DiagnosticFormat::github ? to_github(found) : to_sarif(found);
  std::fputs(text.c_str(), stdout);
}

int check(const CheckArguments& options) {
  const DiagnosticFormat format = format_of(options);
  const auto names = names_at_hand(options);
  if (!names) return print_error(names.error()), kWrongUse;
  std::vector<policy::Diagnostic> found;
  bool ok = true;
  size_t accepted = 0;
  for (const std::string& file : options.files) {
    CheckedPolicy checked = check_policy_file(file);
    add_host_warnings(checked, *names);
    ok = is_good(checked, options) && ok;
    accepted += checked.accepted;
    if (format == DiagnosticFormat::text && options.verbose) print_files(checked);
    if (format == DiagnosticFormat::text)
      print(file, checked);
    else
      found.insert(found.end(), checked.diagnostics.begin(), checked.diagnostics.end());
  }
  if (format == DiagnosticFormat::json)
    put_answer(
        object_of({{"ok", ok}, {"accepted", accepted}, {"diagnostics", diagnostics_json(found)}}));
  else if (format != DiagnosticFormat::text)
    print_encoded(found, format);
  return ok ? 0 : 1;
}

}  // namespace

void add_check(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<CheckArguments>();
  CLI::App* verb = app.add_subcommand("check", "Check a policy file and say all that is wrong");
  verb->add_option("file", options->files, "the policies (TOML)")->required();
  verb->add_option("--format", options->format, "how to print what is found")
      ->check(CLI::IsMember({"text", "json", "github", "sarif"}));
  verb->add_flag("--json")->description("short for --format json");
  verb->add_option("--btf", options->btf,
                   "the BTF of the kernel that the policy is for; without: this host's");
  verb->add_flag("--fail-on-warn", options->fail_on_warn, "exit with 1 if there are warnings");
  verb->add_flag("--verbose", options->verbose,
                 "name the files that were read, and those beside them that were not");
  verb->footer("example: bpfwarden check /etc/bpfwarden/policy.toml");
  verb->callback([options, &chosen] { chosen = [options] { return check(*options); }; });
}

}  // namespace bpfwarden::loader

// bpfwarden inventory: every BPF program in the kernel, and who vouches for it.
#include <bpf/libbpf.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "keyring/x509.h"
#include "loader/cmd.h"
#include "loader/inventory.h"
#include "loader/kernel_text.h"
#include "loader/suggest_policy.h"
#include "policy/wording.h"

namespace bpfwarden::loader {
namespace {

struct Options {
  bool json = false;
  bool unsigned_only = false;
  bool as_policy = false;
};

bool is_known(const ListedProgram& program) {
  return (program.listed.flags & BW_LISTED_ADMITTED) != 0;
}

// The warden's word where it has one, else the kernel's.
bool is_signed(const ListedProgram& program) {
  if (is_known(program)) return program.admitted.facts.signature != BW_SIGNATURE_UNSIGNED;
  return (program.listed.flags & BW_LISTED_VERDICT) != 0 && program.listed.verdict == 1;
}

nlohmann::json or_null(const std::string& text) {
  return text.empty() ? nlohmann::json() : nlohmann::json(text);
}

std::string type_name(const bw_listed_program& listed) {
  const char* name = libbpf_bpf_prog_type_str(static_cast<bpf_prog_type>(listed.prog_type));
  return name != nullptr ? name : std::to_string(listed.prog_type);
}

nlohmann::json verdict_of(const bw_listed_program& listed) {
  if ((listed.flags & BW_LISTED_VERDICT) == 0) return {};
  return listed.verdict == 1 ? "verified" : listed.verdict == 0 ? "unsigned" : "other";
}

// What the warden knows of it.
nlohmann::json admission(const ListedProgram& program) {
  if (!is_known(program)) return {};
  const bw_program& record = program.admitted;
  return {{"rule", or_null(record.rule.name)},
          {"cause", policy::cause_name(static_cast<bw_cause>(record.decision.cause))},
          {"decision", record.decision.allow != 0 ? "allow" : "deny"},
          {"policy_version", record.policy_version},
          {"signature", policy::signature_name(static_cast<bw_signature>(record.facts.signature))},
          {"signer", or_null(record.signer_name)},
          {"key_serial", record.key_serial},
          {"origin", policy::origin_name(static_cast<bw_origin>(record.facts.origin))},
          {"loader_id", record.loader_id}};
}

nlohmann::json to_json(const ListedProgram& program) {
  const bw_listed_program& listed = program.listed;
  auto attachments = nlohmann::json::array(), holders = nlohmann::json::array();
  for (const Attachment& one : program.attachments)
    attachments.push_back({{"link_id", one.link_id}, {"type", one.kind}, {"attach", one.attach}});
  for (const Holder& one : program.holders)
    holders.push_back({{"pid", one.pid}, {"comm", one.name}});
  const bool has_digest = (listed.flags & BW_LISTED_DIGEST) != 0;
  return {{"id", listed.id},
          {"name", kernel_text(listed.name, sizeof(listed.name))},
          {"type", type_name(listed)},
          {"attach", program.attach},
          {"standing", standing_name(program.standing)},
          {"admission", admission(program)},
          {"kernel_verdict", verdict_of(listed)},
          {"digest", has_digest ? nlohmann::json(keyring::hex(listed.digest)) : nlohmann::json()},
          {"attachments", attachments},
          {"pins", program.pins},
          {"processes", holders},
          {"uid", listed.uid},
          {"load_time_ns", listed.load_time_ns},
          {"maps", listed.map_count},
          {"instructions", listed.instructions},
          {"verified_instructions", listed.verified},
          {"target_program", listed.target_id},
          {"sleepable", (listed.flags & BW_LISTED_SLEEPABLE) != 0},
          {"jited", (listed.flags & BW_LISTED_JITED) != 0},
          {"gpl_compatible", (listed.flags & BW_LISTED_GPL_COMPATIBLE) != 0}};
}

std::string standing_text(const ListedProgram& program) {
  if (!is_known(program)) {
    const std::string name = standing_name(program.standing);
    return is_signed(program) ? name + ", signed" : name;
  }
  const bw_program& record = program.admitted;
  const std::string rule = record.rule.name, signer = record.signer_name;
  return std::string(standing_name(program.standing)) +
         (rule.empty() ? " by default" : " by '" + rule + "'") + ", " +
         std::string(policy::signature_name(static_cast<bw_signature>(record.facts.signature))) +
         (signer.empty() ? "" : " by " + signer);
}

void print_text(const ListedProgram& program) {
  const bw_listed_program& listed = program.listed;
  std::printf("%-6u %-16s %-28s %s\n", listed.id,
              kernel_text(listed.name, sizeof(listed.name)).c_str(), program.attach.c_str(),
              standing_text(program).c_str());
  for (const Attachment& one : program.attachments)
    std::printf("       at %s (link %u)\n", one.attach.c_str(), one.link_id);
  for (const std::string& pin : program.pins) std::printf("       pinned at %s\n", pin.c_str());
  for (const Holder& one : program.holders)
    std::printf("       held by %s (%u)\n", one.name.c_str(), one.pid);
}

// `suggest`, from what is there now.
int print_policy() {
  SuggestRequest request;
  request.events.is_left_out = true;
  const auto suggested = suggest_policy(request);
  if (!suggested) return report(suggested.error());
  std::fputs(suggested->text.c_str(), stdout);
  return 0;
}

int run_inventory(const Options& options) {
  if (options.as_policy) return print_policy();
  auto programs = read_inventory();
  if (!programs) return report(programs.error());
  if (options.unsigned_only) std::erase_if(*programs, is_signed);
  if (options.json)
    std::puts(inventory_to_json(*programs).dump(2).c_str());
  else
    std::ranges::for_each(*programs, print_text);
  return 0;
}

}  // namespace

nlohmann::json inventory_to_json(const std::vector<ListedProgram>& programs) {
  auto all = nlohmann::json::array();
  for (const ListedProgram& program : programs) all.push_back(to_json(program));
  return all;
}

void add_inventory(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand(
      "inventory", "List every BPF program in the kernel, where it is, and who vouches for it");
  verb->add_flag("--unsigned", options->unsigned_only, "only those without a verified signature");
  auto* json = verb->add_flag("--json", options->json, "as JSON");
  verb->add_flag("--as-policy", options->as_policy,
                 "the smallest policy that admits them; `suggest` knows more")
      ->excludes(json);
  verb->footer("example: bpfwarden inventory --unsigned");
  verb->callback([options, &chosen] { chosen = [options] { return run_inventory(*options); }; });
}

}  // namespace bpfwarden::loader

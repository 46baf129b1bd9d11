#include "loader/inventory/inventory_output.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "keyring/x509.h"
#include "loader/btf/type_names.h"
#include "loader/inventory/take_away.h"
#include "loader/policies/publish.h"
#include "loader/text/json_members.h"
#include "loader/text/kernel_text.h"
#include "loader/text/moment.h"
#include "loader/text/time_text.h"
#include "policy/text/escaped.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

constexpr size_t kWidth = 100;
constexpr const char* kIndent = "       ";

bool is_known(const ListedProgram& program) {
  return (program.listed.flags & BW_LISTED_ADMITTED) != 0;
}

nlohmann::json verdict_of(const bw_listed_program& listed) {
  if ((listed.flags & BW_LISTED_VERDICT) == 0) return {};
  return listed.verdict == 1 ? "verified" : listed.verdict == 0 ? "unsigned" : "other";
}

// What the warden knows of it.
nlohmann::json admission(const ListedProgram& program) {
  if (!is_known(program)) return {};
  const bw_program& record = program.admitted;
  const bool has_loader = record.loader_id != 0;
  return object_of(
      {{"rule", text_or_null(record.rule.name)},
       {"cause", policy::cause_name(static_cast<bw_cause>(record.decision.cause))},
       {"decision", record.decision.allow != 0 ? "allow" : "deny"},
       {"policy_version", record.policy_version},
       {"signature", policy::signature_name(static_cast<bw_signature>(record.facts.signature))},
       {"signer", text_or_null(record.signer_name)},
       {"key_serial", record.key_serial},
       {"origin", policy::origin_name(static_cast<bw_origin>(record.facts.origin))},
       {"loader_id", record.loader_id},
       {"loader_digest", digest_or_null(has_loader ? hex(record.loader_digest) : "")}});
}

std::string digest_text(const bw_listed_program& listed) {
  return (listed.flags & BW_LISTED_DIGEST) != 0 ? hex(listed.digest) : std::string();
}

// In seconds.
int64_t age(const bw_listed_program& listed, const Moment& now) {
  if (now.boot_ns < listed.load_time_ns) return 0;
  return static_cast<int64_t>((now.boot_ns - listed.load_time_ns) / kNanosPerSecond);
}

int64_t load_time(const bw_listed_program& listed, const Moment& now) {
  return now.unix_seconds - age(listed, now);
}

std::string counted(uint32_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string name_text(const ListedProgram& program) {
  return kernel_text(program.listed.name, sizeof(program.listed.name));
}

std::string signature_text(const ListedProgram& program) {
  const bw_program& record = program.admitted;
  if (!is_known(program)) return has_verified_signature(program) ? "signed" : "";
  const std::string signer = record.signer_name;
  return std::string(policy::signature_name(static_cast<bw_signature>(record.facts.signature))) +
         (signer.empty() ? "" : " by " + signer);
}

// "admitted by 'network team'"
std::string verdict_text(const ListedProgram& program) {
  std::string standing = standing_name(program.standing);
  if (!is_known(program)) return standing;
  const std::string rule = program.admitted.rule.name;
  return standing + (rule.empty() ? " by default" : " by '" + rule + "'");
}

std::string standing_text(const ListedProgram& program) {
  const std::string signature = signature_text(program);
  return verdict_text(program) + (signature.empty() ? "" : ", " + signature);
}

std::string padded(const std::string& text, size_t width) {
  const size_t taken = policy::width_of(text);
  return text + std::string(taken < width ? width - taken : 0, ' ') + " ";
}

// Whether the program came from a signed loader, and which.
std::string loader_text(const ListedProgram& program) {
  if (!is_known(program) || program.admitted.loader_id == 0) return {};
  return "by loader " + std::to_string(program.admitted.loader_id);
}

std::string load_text(const ListedProgram& program, const Moment& now) {
  const bw_listed_program& listed = program.listed;
  constexpr size_t prefix = 12;  // enough to tell programs of one host apart
  std::string text = program_type_name(listed.prog_type) + ", loaded " +
                     ago_text(age(listed, now)) + " by uid " + std::to_string(listed.uid);
  const std::string loader = loader_text(program), digest = digest_text(listed);
  if (!loader.empty()) text += ", " + loader;
  text += ", " + counted(listed.map_count, "map");
  return digest.empty() ? text : text + ", sha256:" + digest.substr(0, prefix);
}

std::string attachment_text(const Attachment& one) {
  std::string notes;
  const auto add = [&](const std::string& note) { notes += (notes.empty() ? "" : ", ") + note; };
  if (!one.network.empty()) add("network namespace " + one.network);
  if (!one.detail.empty()) add(one.detail);
  if (one.link_id != 0) add("link " + std::to_string(one.link_id));
  return one.attach + (notes.empty() ? "" : " (" + notes + ")");
}

std::string where_and_who(const ListedProgram& program, const std::string& indent) {
  std::string text;
  const auto add = [&](const char* how, const std::string& what) {
    text.append(indent).append(how).append(what).append("\n");
  };
  for (const Attachment& one : program.attachments) add("at ", attachment_text(one));
  for (const std::string& pin : program.pins) add("pinned at ", pin);
  for (const Holder& one : program.holders)
    add("held by ", one.name + " (" + std::to_string(one.pid) + ")");
  return text;
}

// Of those that no policy has let in.
std::string take_away_text(const ListedProgram& program) {
  std::string text;
  if (program.standing != Standing::resident && program.standing != Standing::unexplained)
    return text;
  for (const std::string& way : ways_to_take_away(program))
    text.append(kIndent).append("to take it away: ").append(way).append("\n");
  return text;
}

std::string properties_text(const bw_listed_program& listed) {
  std::string text = counted(listed.instructions, "instruction") + ", the verifier walked " +
                     std::to_string(listed.verified);
  if ((listed.flags & BW_LISTED_JITED) != 0) text += ", compiled";
  if ((listed.flags & BW_LISTED_SLEEPABLE) != 0) text += ", sleepable";
  if ((listed.flags & BW_LISTED_GPL_COMPATIBLE) != 0) text += ", GPL compatible";
  return text;
}

std::string line(const char* what, const std::string& value) {
  return value.empty() ? "" : padded(what, 12) + value + "\n";
}

std::string admission_details(const ListedProgram& program) {
  if (!is_known(program)) return {};
  const bw_program& record = program.admitted;
  const std::string loader = loader_text(program);
  return line("policy", "version " + std::to_string(record.policy_version)) +
         line("key serial", record.key_serial != 0 ? std::to_string(record.key_serial) : "") +
         line("origin",
              std::string(policy::origin_name(static_cast<bw_origin>(record.facts.origin))) +
                  (loader.empty() ? "" : ", " + loader)) +
         line("loader", loader.empty() ? "" : "sha256:" + hex(record.loader_digest));
}

}  // namespace

Moment this_moment() { return {.boot_ns = boot_time_ns(), .unix_seconds = std::time(nullptr)}; }

bool has_verified_signature(const ListedProgram& program) {
  if (is_known(program)) return program.admitted.facts.signature != BW_SIGNATURE_UNSIGNED;
  return (program.listed.flags & BW_LISTED_VERDICT) != 0 && program.listed.verdict == 1;
}

std::string inventory_text(const ListedProgram& program, const Moment& now) {
  const std::string what = padded(std::to_string(program.listed.id), 6) +
                           padded(name_text(program), 16) + padded(program.attach, 28);
  const std::string standing = standing_text(program);
  const bool fits = policy::width_of(what) + policy::width_of(standing) <= kWidth;
  return what.substr(0, fits ? what.size() : what.find_last_not_of(' ') + 1) +
         (fits ? "" : std::string("\n") + kIndent) + standing + "\n" + kIndent +
         load_text(program, now) + "\n" + where_and_who(program, kIndent) + take_away_text(program);
}

std::string inventory_details(const ListedProgram& program, const Moment& now) {
  const bw_listed_program& listed = program.listed;
  const std::string digest = digest_text(listed), signature = signature_text(program);
  return line("program", std::to_string(listed.id) + " " + name_text(program)) +
         line("type", program_type_name(listed.prog_type)) + line("attach", program.attach) +
         line("standing", verdict_text(program)) +
         line("signature", signature.empty() ? "none that is known" : signature) +
         admission_details(program) + line("digest", digest.empty() ? "" : "sha256:" + digest) +
         line("loaded", utc_second_text(load_time(listed, now)) + ", " +
                            ago_text(age(listed, now)) + ", by uid " + std::to_string(listed.uid)) +
         line("maps", std::to_string(listed.map_count)) + line("code", properties_text(listed)) +
         line("target",
              listed.target_id != 0 ? "program " + std::to_string(listed.target_id) : "") +
         where_and_who(program, "");
}

nlohmann::json inventory_json(const ListedProgram& program, const Moment& now) {
  const bw_listed_program& listed = program.listed;
  auto attachments = nlohmann::json::array(), holders = nlohmann::json::array();
  for (const Attachment& one : program.attachments)
    attachments.push_back(object_of({{"link_id", one.link_id},
                                     {"link_type", one.kind},
                                     {"attach", one.attach},
                                     {"detail", text_or_null(one.detail)},
                                     {"network_namespace", text_or_null(one.network)}}));
  for (const Holder& one : program.holders)
    holders.push_back(
        object_of({{"tgid", one.pid}, {"comm", one.name}, {"unit", text_or_null(one.unit)}}));
  return object_of({{"program_id", listed.id},
                    {"program", kernel_text(listed.name, sizeof(listed.name))},
                    {"program_type", program_type_name(listed.prog_type)},
                    {"attach", program.attach},
                    {"standing", standing_name(program.standing)},
                    {"admission", admission(program)},
                    {"kernel_verdict", verdict_of(listed)},
                    {"digest", digest_or_null(digest_text(listed))},
                    {"attachments", attachments},
                    {"pins", program.pins},
                    {"processes", holders},
                    {"take_away", program.standing == Standing::own ? std::vector<std::string>()
                                                                    : ways_to_take_away(program)},
                    {"uid", listed.uid},
                    {"load_time_ns", listed.load_time_ns},
                    {"load_time", utc_second_text(load_time(listed, now))},
                    {"map_count", listed.map_count},
                    {"instructions", listed.instructions},
                    {"verified_instructions", listed.verified},
                    {"target_program_id", listed.target_id},
                    {"sleepable", (listed.flags & BW_LISTED_SLEEPABLE) != 0},
                    {"jited", (listed.flags & BW_LISTED_JITED) != 0},
                    {"gpl_compatible", (listed.flags & BW_LISTED_GPL_COMPATIBLE) != 0}});
}

nlohmann::json inventory_to_json(const std::vector<ListedProgram>& programs) {
  const Moment now = this_moment();
  auto all = nlohmann::json::array();
  auto summary = nlohmann::json::object();
  for (const ListedProgram& program : programs) {
    all.push_back(inventory_json(program, now));
    nlohmann::json& count = summary[standing_name(program.standing)];
    count = count.is_null() ? 1 : count.get<uint64_t>() + 1;
  }
  return object_of({{"summary", summary}, {"programs", all}});
}

}  // namespace bpfwarden::loader

#include "loader/text/json_shapes.h"

#include <set>
#include <sstream>

#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

using Json = nlohmann::ordered_json;
using std::string;
using std::string_view;

// `members`: names, each with what it is here. NAME=SHAPE is an object, NAME=[SHAPE] a list of
// them, NAME={SHAPE} one with a member for each name that there is; of SHAPE `whole` and `text`
// are no objects. NAME# counts: an integer. NAME~ may be null, NAME? may be left out.
struct Shape {
  string_view name, members;
};

// clang-format off
constexpr auto kShapes = std::to_array<Shape>({
  {"error", "message hint next errno~ exit_status file line column diagnostics=[diagnostic]? events=[event]?"},
  {"problem", "message hint next errno~"},
  {"diagnostic", "severity code file line column message hint"},
  {"event", "sequence count time time_ns judged_at hook~ decision~ active_decision refused errno mode~ rule rule_line "
            "cause~ almost generation policy_version policy_digest signature signer key_serial wanted_key verified_by origin attach "
            "route system_call object program program_id loader_id digest loader_digest sleepable delegated gpl_compatible pid "
            "tgid uid comm exe cgroup_id cgroup"},

  {"capabilities", "can_enforce capabilities=[capability] kernel_abilities=kernel_abilities"},
  {"kernel_abilities", "signature verifier own_keyring bpf_keyring signed_policies program_digests awaits_ends can_seal"},
  {"capability", "name finding detail remedy"},
  {"boot_fix", "boot_option boot_changes=[boot_change] written"},
  {"boot_change", "boot_loader file after next"},
  {"checked", "ok accepted diagnostics=[diagnostic]"},
  {"explanation", "attach attach_seen decision refused effect lacks_attach stages=[stage] ways=[way]"},
  {"stage", "stage decision mode cause rule rule_line passed=[passed] near_misses=[near_miss]"},
  {"passed", "rule reasons"},
  {"near_miss", "rule reason"},
  {"way", "attach_seen decision"},
  {"fixed_denials", "enforced fixed=[fixed_denial]"},
  {"fixed_denial", "cause reason"},
  {"tested", "ok files=[tested_file]"},
  {"tested_file", "file policy failed tests=[policy_test] coverage never_decided"},
  {"policy_test", "name line ok reason"},
  {"differences", "header=[header_change] groups=[group] threads=[group] settings=[setting_change] classes changed "
                  "other_rule not_asked widens"},
  {"header_change", "setting before after"},
  {"setting_change", "change setting before after"},
  {"group", "change attach_points attach_more conditions before after witness=witness"},
  {"witness", "before=[text]~ after=[text]~"},
  {"suggestion", "policy policy_version policy_text kept_rules changes rules=[suggested_rule] "
                 "not_admitted=[not_admitted] file"},
  {"suggested_rule", "rule allow signed_by digests"},
  {"not_admitted", "attach program by count reason"},
  {"recipe_list", "recipes=[recipe_name]"},
  {"recipe_name", "name about"},
  {"recipe", "name about policy_text"},
  {"formatted", "files=[formatted_file]"},
  {"formatted_file", "file is_normal formatted policy_text"},

  {"applied", "policy policy_version mode rule_count generation keyring hooks_loaded unchanged confirm_within "
              "widening taken_away sealed"},
  {"would_change", "would_change policy policy_version"},
  {"preflight", "policy policy_version clean running=[would_refuse] recorded=[would_refuse] "
                "feature_probes=[would_refuse] attached=[would_refuse] revoked=[would_refuse] resident_count notes"},
  {"would_refuse", "program_id program attach signer reason by count last"},
  {"confirmed", "generation sealed"},
  {"staged_now", "policy policy_version generation preflight=preflight~"},
  {"unstaged", "was_staged"},
  {"boot", "boot_word applied=applied canary=canary warnings residents=[resident]"},
  {"canary", "outcome attach"},
  {"resident", "program_id program attach"},
  {"enrolled", "certificates=[enrolled_certificate] key_count"},
  {"enrolled_certificate", "file subject fingerprint outcome"},
  {"off", "was_active"},
  {"order", "file order policy policy_version to_version~ challenge signature_count"},
  {"seal", "sealed"},
  {"upgraded", "unchanged kernel_part=kernel_part kernel_part_before=kernel_part"},

  {"no_policy", "active"},
  {"status", "active host kernel kernel_abilities=kernel_abilities kernel_part=kernel_part initramfs=initramfs mode policy policy_version policy_digest generation since confirm_within returned sealed sealed_since open policy_signed_by policy_signatures_needed "
             "staged=staged rule_count log_allowed_per_second keyring certificates=[certificate_end] hooks "
             "hooks_expected hooks_missing tables=[table] unjudged=[unjudged] last_hour=last_hour residents=residents "
             "counters=counters"},
  {"kernel_part", "bpfwarden_version abi"},
  {"initramfs", "stale next"},
  {"staged", "policy policy_version generation since agreed differed"},
  {"certificate_end", "signer ends expired"},
  {"table", "name entries room uid of_uid"},
  {"unjudged", "program_id system_call_number arguments=[whole] count"},
  {"last_hour", "refused# would_deny observed probes_refused probes_would_deny"},
  {"residents", "count would_deny"},
  {"counters", "decided refused# would_deny observed quiet withheld postponed summed dropped"},
  {"reasons", "refusals=[refusal] kinds sources others=others"},
  {"refusal", "count first last refused probe unit who what outcome why do rule_text place event=event"},
  {"others", "possible excluded process=process"},
  {"process", "tgid comm"},
  {"policy_identity", "policy policy_version policy_digest"},
  {"policy_shown", "policy policy_version policy_text files=[shown_file]"},
  {"shown_file", "file policy_text"},
  {"inventory", "summary={whole} programs=[listed_program]"},
  {"listed_program", "program_id program program_type attach standing admission=admission kernel_verdict digest "
                     "attachments=[attachment] pins processes=[holder] take_away uid load_time_ns load_time map_count "
                     "instructions verified_instructions target_program_id sleepable jited gpl_compatible"},
  {"admission", "rule cause decision policy_version signature signer key_serial origin loader_id loader_digest"},
  {"attachment", "link_id link_type attach detail network_namespace"},
  {"holder", "tgid comm unit"},
  {"metrics", "metrics=[metric]"},
  {"metric", "name type help samples=[sample]"},
  {"sample", "labels={text} value"},
  {"report", "recording=recording counts=outcomes probes=outcomes policies=[seen_policy] matrix=[cell] "
             "denied_programs=denied_programs denied_units=denied_units timeline=timeline status=status_or_none "
             "notes causes={cause} programs=[report_program]~ host kernel generated bpfwarden_version since until"},
  {"recording", "received missing unreadable outside first last"},
  {"outcomes", "allowed would_deny refused# rejected staged#"},
  {"seen_policy", "policy_version policy_digest events# counts=outcomes first last"},
  {"cell", "vouch family allowed would_deny refused# rejected staged#"},
  {"denied_programs", "total others=denials rows=[denied_program]"},
  {"denied_units", "total others=denials rows=[denied_unit]"},
  {"denials", "would_deny refused#"},
  {"denied_program", "hook program attach digest vouch signature rule cause would_deny refused# units probe first last"},
  {"denied_unit", "unit kind would_deny refused# programs# first last"},
  {"timeline", "start step_seconds lanes={counted}"},
  {"cause", "reason next"},
  {"report_program", "program_id program program_type attach family attach_points standing vouch signature rule cause~ "
                     "origin policy_version digest pins processes=[holder] uid map_count events#"},

  {"key_list", "certificates=[listed_certificate]"},
  {"listed_certificate", "signer trust subject algorithm~ ends fingerprint? public_key? file?"},
  {"certificates", "certificates=[certificate]"},
  {"certificate", "file subject issuer serial fingerprint public_key subject_key_id algorithm bits ca begins ends"},
  {"fingerprints", "certificates=[fingerprint]"},
  {"fingerprint", "file fingerprint"},
  {"new_key", "key_file certificate_file encrypted policy_text"},
  {"revocation", "file signer withdrawn policy_version next programs=[admitted_program]~"},
  {"admitted_program", "program_id program attach rule policy_version"},
  {"signed", "bundles=[bundle]"},
  {"bundle", "file signature program_count self_check digest"},
  {"to_be_signed", "to_be_signed"},
  {"contents", "name bundle_version tool license kind programs=[bundle_program] maps instructions digest "
               "metadata_bytes metadata_digest signatures=[bundle_signature] certificate=bundle_certificate "
               "disassembly?"},
  {"bundle_program", "program section attach program_type attach_type"},
  {"bundle_signature", "kernels signed_digest bytes problem? signers? subject_key_id? digest_algorithm?"},
  {"bundle_certificate", "subject fingerprint? problem?"},
  {"verified", "file signature covers subject issuer fingerprint digest decisions=[program_decision] admitted"},
  {"compiled", "file policy policy_version policy_digest mode seals confirm_within images signed_digest "
               "policy_signatures=[policy_signature] signatures_needed signed_enough"},
  {"policy_signature", "subject fingerprint~ issuer signer counted reason~"},
  {"program_decision", "program attach decision decided_by"},
  {"loaded", "programs=[loaded_program]"},
  {"loaded_program", "program program_id section pin"},
  {"completion", "shell script"},
});

// What a verb prints: one of the shapes.
struct Answer {
  string_view verb, shapes;
  bool is_stream = false;  // one object a line
};
constexpr auto kAnswers = std::to_array<Answer>({
  {"doctor", "capabilities boot_fix"},
  {"check", "checked"},
  {"explain", "explanation fixed_denials"},
  {"test", "tested"},
  {"diff", "differences"},
  {"suggest", "suggestion"},
  {"recipes", "recipe_list recipe"},
  {"fmt", "formatted"},
  {"apply", "applied would_change preflight"},
  {"confirm", "confirmed"},
  {"stage", "staged_now unstaged"},
  {"promote", "applied"},
  {"seal", "seal"},
  {"upgrade", "upgraded"},
  {"rollback", "applied"},
  {"boot", "boot"},
  {"enrol", "enrolled"},
  {"off", "off"},
  {"order off", "order"},
  {"order rollback", "order"},
  {"order sign", "order"},
  {"order show", "order"},
  {"status", "status no_policy", true},
  {"why", "reasons"},
  {"policy show", "policy_shown"},
  {"policy digest", "policy_identity"},
  {"inventory", "inventory"},
  {"events", "event", true},
  {"report", "report"},
  {"metrics", "metrics"},
  {"keys list", "key_list"},
  {"keys show", "certificates"},
  {"keys fingerprint", "fingerprints"},
  {"keys new", "new_key"},
  {"keys revoke", "revocation"},
  {"sign", "signed to_be_signed"},
  {"compile", "compiled"},
  {"inspect", "contents"},
  {"verify", "verified compiled"},
  {"run", "loaded"},
  {"completion", "completion"},
});
// clang-format on

std::vector<string> words_of(string_view text) {
  std::istringstream stream{string(text)};
  std::vector<string> words;
  for (string word; stream >> word;) words.push_back(std::move(word));
  return words;
}

// One word of Shape::members.
struct Use {
  string member, shape;
  bool is_list = false, is_map = false, counts = false, may_be_null = false, may_be_absent = false;
};

Use use_of(string word) {
  Use use;
  const auto take = [&word](char mark) {
    if (!word.ends_with(mark)) return false;
    word.pop_back();
    return true;
  };
  use.may_be_absent = take('?');
  use.may_be_null = take('~');
  use.counts = take('#');
  const size_t equals = word.find('=');
  use.member = word.substr(0, equals);
  if (equals == string::npos) return use;
  use.shape = word.substr(equals + 1);
  use.is_list = use.shape.starts_with('[');
  use.is_map = use.shape.starts_with('{');
  if (use.is_list || use.is_map) use.shape = use.shape.substr(1, use.shape.size() - 2);
  return use;
}

const Shape* find_shape(string_view name) {
  const auto* found = std::ranges::find(kShapes, name, &Shape::name);
  return found == kShapes.end() ? nullptr : &*found;
}

const Answer* find_answer(string_view verb) {
  const auto* found = std::ranges::find(kAnswers, verb, &Answer::verb);
  return found == kAnswers.end() ? nullptr : &*found;
}

// ---- Schema -------------------------------------------------------------------------------------

Json scalar_schema(const KnownMember& member) {
  switch (member.type) {
    case MemberType::word: {
      Json words = Json::array();
      for (const string& word : words_of(member.words)) words.push_back(word);
      return {{"enum", words}};
    }
    case MemberType::whole:
      return {{"type", "integer"}};
    case MemberType::number:
      return {{"type", "number"}};
    case MemberType::truth:
      return {{"type", "boolean"}};
    case MemberType::digest:
      return {{"type", "string"}, {"pattern", "^sha256:[0-9a-f]{64}$"}};
    case MemberType::time:
      return {{"type", "string"},
              {"format", "date-time"},
              {"pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?Z$"}};
    case MemberType::texts:
      return {{"type", "array"}, {"items", {{"type", "string"}}}};
    case MemberType::text:
    case MemberType::held:
      break;
  }
  return {{"type", "string"}};
}

Json held_schema(const string& shape) {
  if (shape == "whole") return {{"type", "integer"}};
  if (shape == "text") return {{"type", "string"}};
  if (shape == "counted") return {{"type", "array"}, {"items", {{"type", "integer"}}}};
  if (shape == "status_or_none") return {{"type", "object"}};  // of whichever version wrote it
  return {{"$ref", "#/$defs/" + shape}};
}

Json schema_of(const Use& use, const KnownMember& member) {
  Json schema = scalar_schema(member);
  if (use.counts) schema = {{"type", "integer"}};
  if (!use.shape.empty()) schema = held_schema(use.shape);
  if (use.is_list) schema = {{"type", "array"}, {"items", schema}};
  if (use.is_map) schema = {{"type", "object"}, {"additionalProperties", schema}};
  const bool is_null = use.may_be_null || (member.may_be_null && !use.counts);
  if (is_null) schema = {{"anyOf", {schema, {{"type", "null"}}}}};
  schema["description"] = member.meaning;
  return schema;
}

Json object_schema(const Shape& shape) {
  Json properties = Json::object(), required = Json::array();
  for (const string& word : words_of(shape.members)) {
    const Use use = use_of(word);
    properties[use.member] = schema_of(use, *find_member(use.member));
    if (!use.may_be_absent) required.push_back(use.member);
  }
  return {{"type", "object"},
          {"properties", properties},
          {"required", required},
          {"additionalProperties", false}};
}

// The shape and all that it holds.
void collect(string_view name, std::set<string>& names) {
  const Shape* shape = find_shape(name);
  if (shape == nullptr || !names.emplace(name).second) return;
  for (const string& word : words_of(shape->members)) collect(use_of(word).shape, names);
}

// What any answer may have besides.
void allow_notes(Json& object) {
  for (const char* word : {"problems=[problem]?", "diagnostics=[diagnostic]?", "notes?"}) {
    const Use use = use_of(word);
    Json& properties = object["properties"];
    if (!properties.contains(use.member))
      properties[use.member] = schema_of(use, *find_member(use.member));
  }
}

Json error_schema() {
  Json object = {
      {"type", "object"},
      {"properties",
       {{"error", {{"$ref", "#/$defs/error"}, {"description", find_member("error")->meaning}}}}},
      {"required", {"error"}},
      {"additionalProperties", false}};
  object["properties"]["problems"] =
      schema_of(use_of("problems=[problem]?"), *find_member("problems"));
  return object;
}

// ---- Documentation ------------------------------------------------------------------------------

string type_text(const KnownMember& member) {
  string text;
  switch (member.type) {
    case MemberType::text:
      text = "string";
      break;
    case MemberType::word:
      for (const string& word : words_of(member.words))
        text += (text.empty() ? "`" : ", `") + word + "`";
      break;
    case MemberType::whole:
      text = "integer";
      break;
    case MemberType::number:
      text = "number";
      break;
    case MemberType::truth:
      text = "boolean";
      break;
    case MemberType::digest:
      text = "`sha256:` digest";
      break;
    case MemberType::time:
      text = "time";
      break;
    case MemberType::texts:
      text = "strings";
      break;
    case MemberType::held:
      text = "see below";
      break;
  }
  return member.may_be_null ? text + ", null" : text;
}

string use_text(const Use& use) {
  string text = "`" + use.member + "`";
  if (use.counts) text += " (a count)";
  if (!use.shape.empty() && use.shape != "whole" && use.shape != "text" && use.shape != "counted")
    text += string(use.is_list  ? " (list of "
                   : use.is_map ? " (by name, "
                                : " (") +
            (use.shape == "status_or_none" ? "status" : use.shape) + ")";
  if (use.may_be_absent) text += " (if there is one)";
  return text;
}

}  // namespace

std::vector<string> verbs_with_schema() {
  std::vector<string> verbs;
  for (const Answer& answer : kAnswers) verbs.emplace_back(answer.verb);
  return verbs;
}

std::optional<string> answer_schema(string_view verb) {
  const Answer* answer = find_answer(verb);
  if (answer == nullptr) return std::nullopt;
  std::set<string> names = {"problem"};
  collect("error", names);
  Json choices = Json::array();
  for (const string& shape : words_of(answer->shapes)) {
    collect(shape, names);
    Json object = object_schema(*find_shape(shape));
    allow_notes(object);
    choices.push_back(std::move(object));
  }
  collect("diagnostic", names);
  choices.push_back(error_schema());
  Json defs = Json::object();
  for (const string& name : names) defs[name] = object_schema(*find_shape(name));
  const Json schema = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "bpfwarden " + string(verb) + " --json"},
      {"description", answer->is_stream ? "of each line" : "of what is on standard output"},
      {"anyOf", choices},
      {"$defs", defs}};
  return schema.dump(2) + "\n";
}

string members_table() {
  string text = "| member | type | meaning |\n|---|---|---|\n";
  for (const KnownMember& member : kMembers)
    text += "| `" + string(member.name) + "` | " + type_text(member) + " | " +
            string(member.meaning) + " |\n";
  return text;
}

string answers_text() {
  string text = "| verb | prints |\n|---|---|\n";
  for (const Answer& answer : kAnswers) {
    string shapes;
    for (const string& shape : words_of(answer.shapes))
      shapes += (shapes.empty() ? "" : ", or ") + shape;
    text += "| `" + string(answer.verb) + "` | " + shapes +
            (answer.is_stream && answer.verb == "events" ? ", one a line" : "") + " |\n";
  }
  text += "\n| object | members |\n|---|---|\n";
  for (const Shape& shape : kShapes) {
    string members;
    for (const string& word : words_of(shape.members))
      members += (members.empty() ? "" : ", ") + use_text(use_of(word));
    text += "| " + string(shape.name) + " | " + members + " |\n";
  }
  return text;
}

std::vector<string> faults_of_shapes() {
  std::vector<string> faults;
  std::set<string> used = {"error", "problems", "diagnostics"}, reached = {"problem"};
  for (const Answer& answer : kAnswers)
    for (const string& shape : words_of(answer.shapes)) collect(shape, reached);
  collect("error", reached);
  for (const Shape& shape : kShapes) {
    if (!reached.contains(string(shape.name)))
      faults.push_back("no verb prints " + string(shape.name));
    for (const string& word : words_of(shape.members)) {
      const Use use = use_of(word);
      used.insert(use.member);
      const KnownMember* member = find_member(use.member);
      if (member == nullptr)
        faults.push_back(string(shape.name) + ": no member " + use.member);
      else if (use.shape.empty() && !use.counts && member->type == MemberType::held)
        faults.push_back(string(shape.name) + ": what does " + use.member + " hold?");
    }
  }
  for (size_t i = 0; i < kMembers.size(); i++) {
    if (!used.contains(string(kMembers[i].name)))
      faults.push_back("nothing has a member " + string(kMembers[i].name));
    if (i > 0 && kMembers[i].name <= kMembers[i - 1].name)
      faults.push_back(string(kMembers[i].name) + " is out of order");
  }
  return faults;
}

}  // namespace bpfwarden::loader

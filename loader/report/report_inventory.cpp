#include "loader/report/report_inventory.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "loader/text/json_member.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

constexpr const char* kFromWhere = "it must be the output of `bpfwarden inventory --json`";

json member_or_null(const json& object, std::string_view name) {
  const auto found = object.find(name);
  return found != object.end() ? *found : json();
}

// How many events are about a program.
class EventsOf {
 public:
  explicit EventsOf(const EventTable& events) {
    for (const TableEntry& entry : events.entries()) {
      const std::string& digest = events.text(entry, Field::digest);
      if (!digest.empty()) by_digest_[digest]++;
      by_name_[{events.text(entry, Field::program), events.text(entry, Field::attach)}]++;
    }
  }
  [[nodiscard]] uint64_t count(const std::string& digest, const std::string& name,
                               const std::string& attach) const {
    if (!digest.empty()) {
      const auto found = by_digest_.find(digest);
      return found == by_digest_.end() ? 0 : found->second;
    }
    const auto found = by_name_.find({name, attach});
    return found == by_name_.end() ? 0 : found->second;
  }

 private:
  std::map<std::string, uint64_t> by_digest_;
  std::map<std::pair<std::string, std::string>, uint64_t> by_name_;
};

// The warden's word on the signature where it has one, else the kernel's.
std::string vouch_of_program(const json& program, const json& admission) {
  if (text_of(program, "standing") == "bpfwarden") return "bpfwarden";
  if (admission.is_object())
    return vouch_of(text_of(admission, "signature"), text_of(admission, "signer"));
  const std::string verdict = text_of(program, "kernel_verdict");
  if (verdict == "verified") return "unknown-key";
  return verdict == "unsigned" ? "unsigned" : "unknown";
}

json places_of(const json& program) {
  std::set<std::string> places;
  const json attachments = member_or_null(program, "attachments");
  if (attachments.is_array())
    for (const json& one : attachments)
      if (one.is_object()) places.insert(text_of(one, "attach"));
  places.erase("");
  return places;
}

// As versions before 0.1 of the dialect called it, too: files are kept.
std::string text_of_either(const json& object, std::string_view name, std::string_view before) {
  const std::string text = text_of(object, name);
  return text.empty() ? text_of(object, before) : text;
}

json member_of_either(const json& object, std::string_view name, std::string_view before) {
  json value = member_or_null(object, name);
  return value.is_null() ? member_or_null(object, before) : value;
}

json holders_of(const json& program) {
  json list = json::array();
  const json holders = member_or_null(program, "processes");
  if (!holders.is_array()) return list;
  for (const json& one : holders)
    if (one.is_object())
      list.push_back(object_of({{"tgid", member_of_either(one, "tgid", "pid")},
                                {"comm", text_of(one, "comm")},
                                {"unit", text_or_null(text_of(one, "unit"))}}));
  return list;
}

std::string digest_of(const json& program) {
  const std::string digest = text_of(program, "digest");
  return digest.empty() || digest.starts_with("sha256:") ? digest : "sha256:" + digest;
}

json row_of(const json& program, const EventsOf& events) {
  const json admission = member_or_null(program, "admission");
  const json known = admission.is_object() ? admission : json::object();
  const std::string name = text_of_either(program, "program", "name"),
                    attach = text_of(program, "attach"), digest = digest_of(program);
  const json pins = member_or_null(program, "pins");
  return object_of({{"program_id", member_of_either(program, "program_id", "id")},
                    {"program", name},
                    {"program_type", text_of_either(program, "program_type", "type")},
                    {"attach", attach},
                    {"family", family_of(attach)},
                    {"attach_points", places_of(program)},
                    {"standing", text_of(program, "standing")},
                    {"vouch", vouch_of_program(program, admission)},
                    {"signature", text_or_null(text_of(known, "signature"))},
                    {"rule", text_or_null(text_of(known, "rule"))},
                    {"cause", text_or_null(text_of(known, "cause"))},
                    {"origin", text_or_null(text_of(known, "origin"))},
                    {"policy_version", member_or_null(known, "policy_version")},
                    {"digest", text_or_null(digest)},
                    {"pins", pins.is_array() ? pins : json::array()},
                    {"processes", holders_of(program)},
                    {"uid", member_or_null(program, "uid")},
                    {"map_count", member_of_either(program, "map_count", "maps")},
                    {"events", events.count(digest, name, attach)}});
}

int order_of(const json& row) {
  const std::string standing = row["standing"], vouch = row["vouch"];
  if (standing == "UNEXPLAINED") return 0;
  if (standing == "would be denied") return 1;
  if (standing == "bpfwarden") return 5;
  if (vouch == "unsigned") return 2;
  return vouch == "unknown" ? 3 : 4;
}

}  // namespace

Result<json> report_programs(const json& inventory, const EventTable& events) {
  // It was a list alone before.
  const json programs = inventory.is_object() ? member_or_null(inventory, "programs") : inventory;
  if (!programs.is_array()) return fail("this is no inventory", kFromWhere);
  const EventsOf counted(events);
  std::vector<json> rows;
  for (const json& program : programs) {
    if (!program.is_object()) return fail("the inventory lists something else", kFromWhere);
    rows.push_back(row_of(program, counted));
  }
  std::ranges::stable_sort(rows, {}, order_of);
  return json(std::move(rows));
}

}  // namespace bpfwarden::loader

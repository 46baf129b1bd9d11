#include "keyring/manifest.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace bpfwarden::keyring {
namespace {

using nlohmann::json;

// Reads the members of one JSON object, and remembers the first that is missing or of a wrong type.
class Members {
 public:
  explicit Members(const json& object) : object_(object) {}

  std::string text(const char* key) {
    const json* value = find(key);
    if (value != nullptr && value->is_string()) return value->get<std::string>();
    return reject(key, "a string"), std::string();
  }
  uint32_t number(const char* key) {
    const json* value = find(key);
    if (value != nullptr && value->is_number_unsigned() &&
        value->get<uint64_t>() <= std::numeric_limits<uint32_t>::max())
      return value->get<uint32_t>();
    return reject(key, "an unsigned 32-bit number"), 0;
  }
  const json& list(const char* key) {
    static const json none = json::array();
    const json* value = find(key);
    if (value != nullptr && value->is_array()) return *value;
    return reject(key, "a list"), none;
  }
  void reject(const char* key, const char* wanted) {
    if (problem_.empty()) problem_ = std::string("its \"") + key + "\" is not " + wanted;
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  const json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  const json& object_;
  std::string problem_;
};

std::string read_lists(Members& root, Bundle& bundle) {
  for (const json& item : root.list("programs")) {
    Members entry(item);
    bundle.programs.push_back({entry.text("name"), entry.text("section"), entry.number("prog_type"),
                               entry.number("expected_attach_type"), entry.text("attach")});
    if (!entry.problem().empty()) return "programs: " + entry.problem();
  }
  for (const json& item : root.list("maps")) {
    Members entry(item);
    bundle.maps.push_back({entry.text("name")});
    if (!entry.problem().empty()) return "maps: " + entry.problem();
  }
  return {};
}

}  // namespace

std::string encode_manifest(const Bundle& bundle) {
  json programs = json::array();
  for (const ProgramEntry& program : bundle.programs)
    programs.push_back({{"name", program.name},
                        {"section", program.section},
                        {"prog_type", program.prog_type},
                        {"expected_attach_type", program.expected_attach_type},
                        {"attach", program.attach}});
  json maps = json::array();
  for (const MapEntry& map : bundle.maps) maps.push_back(json::object({{"name", map.name}}));
  const json root = {{"kind", bundle.kind == Bundle::Kind::loader ? "loader" : "program"},
                     {"name", bundle.name},
                     {"version", bundle.version},
                     {"tool", bundle.tool},
                     {"license", bundle.license},
                     {"attach_name", bundle.attach_name},
                     {"programs", std::move(programs)},
                     {"maps", std::move(maps)}};
  return root.dump();
}

Status decode_manifest(std::string_view text, Bundle& bundle) {
  const json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return fail("the manifest is not a JSON object");
  Members root(parsed);
  Bundle read;
  const std::string kind = root.text("kind");
  if (kind == "program")
    read.kind = Bundle::Kind::program;
  else if (kind != "loader")
    root.reject("kind", "\"loader\" or \"program\"");
  read.name = root.text("name");
  read.version = root.text("version");
  read.tool = root.text("tool");
  read.license = root.text("license");
  read.attach_name = root.text("attach_name");
  std::string problem = read_lists(root, read);
  if (problem.empty()) problem = root.problem();
  if (!problem.empty()) return fail("the manifest cannot be used: " + problem);
  // One comparison refuses unknown and repeated keys, and any second spelling of the same manifest.
  if (encode_manifest(read) != text)
    return fail("the manifest is not in canonical form: a key is unknown, repeated or out of order",
                "write it again with bpfwarden sign");
  bundle = std::move(read);
  return {};
}

}  // namespace bpfwarden::keyring

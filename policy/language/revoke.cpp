#include "policy/language/revoke.h"

#include <algorithm>

namespace bpfwarden::policy {
namespace {

size_t start_of_line(const std::string& text, uint32_t line) {
  size_t at = 0;
  for (uint32_t i = 1; i < line; i++) {
    at = text.find('\n', at);
    if (at == std::string::npos) return text.size();
    at++;
  }
  return at;
}

// Columns count code points: bytes that continue one do not count.
size_t offset_of(const std::string& text, const SourceRange& place) {
  size_t at = start_of_line(text, place.line);
  for (uint32_t column = 1; column < place.column && at < text.size(); column++) do
      at++;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80);
  return at;
}

const SettingPlace* find_setting(const std::vector<SettingPlace>& settings, std::string_view name) {
  const auto found = std::ranges::find(settings, name, &SettingPlace::name);
  return found == settings.end() ? nullptr : &*found;
}

// Into the array that is there, or as a setting of its own below the table's header.
Status add_entry(const Key& key, const std::string& entry, std::vector<SourceFile>& sources) {
  const std::string quoted = "\"" + entry + "\"";
  if (const SettingPlace* place = find_setting(key.settings, "revoked")) {
    std::string& text = sources[place->position.file].text;
    const size_t at = offset_of(text, place->position);
    if (at >= text.size() || text[at] != '[') return fail("`revoked` is not where it was read");
    text.insert(at + 1, quoted + ", ");
    return {};
  }
  std::string& text = sources[key.position.file].text;
  const size_t line = start_of_line(text, key.position.line);
  const size_t header = text.find_first_not_of(" \t", line);
  const bool is_table = header != std::string::npos && text[header] == '[';
  const size_t end = text.find('\n', line);
  if (!is_table || end == std::string::npos)
    return fail("key `" + key.name + "` is not written as a table [keys." + key.name + "]",
                "add revoked = [" + quoted + "] to it by hand, and raise `version`");
  text.insert(end + 1, "revoked = [" + quoted + "]\n");
  return {};
}

Status raise_version(const Policy& policy, std::vector<SourceFile>& sources) {
  const SettingPlace* place = find_setting(policy.settings, "version");
  if (place == nullptr) return fail("the policy has no version");
  std::string& text = sources[place->position.file].text;
  const size_t at = offset_of(text, place->position);
  const size_t end =
      std::min(text.find_first_not_of("+0123456789_xobabcdefABCDEF", at), text.size());
  text.replace(at, end - at, std::to_string(policy.version + 1));
  return {};
}

}  // namespace

Result<std::vector<SourceFile>> revoke(const Policy& policy, std::vector<SourceFile> sources,
                                       size_t key, const std::string& entry) {
  // From the end of the text to its beginning, so that places stay true: the version stands before
  // the first table.
  if (Status added = add_entry(policy.keys[key], entry, sources); !added)
    return std::unexpected(std::move(added).error());
  if (Status raised = raise_version(policy, sources); !raised)
    return std::unexpected(std::move(raised).error());
  return sources;
}

}  // namespace bpfwarden::policy

#include "policy/language/revoke.h"

#include <algorithm>
#include <cctype>
#include <optional>

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

struct Edit {
  uint32_t file = 0;
  size_t at = 0, removed = 0;
  std::string added;
};

constexpr std::string_view kBlank = " \t";

bool is_bare(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

size_t skip_blank_back(const std::string& text, size_t end) {
  while (end > 0 && kBlank.find(text[end - 1]) != std::string_view::npos) end--;
  return end;
}

// Where the component of a key begins that ends there; `end` if there is none.
size_t component_start(const std::string& text, size_t end) {
  size_t at = end;
  if (at > 0 && (text[at - 1] == '"' || text[at - 1] == '\'')) {
    const size_t quote = at < 2 ? std::string::npos : text.rfind(text[at - 1], at - 2);
    return quote == std::string::npos ? end : quote;
  }
  while (at > 0 && is_bare(text[at - 1])) at--;
  return at;
}

// How a setting is named where its value stands: `keys.netops.certificates = …`.
struct Spelling {
  size_t start = 0;     // of the whole
  std::string leading;  // "keys.netops."
  bool is_inline = false;
};

std::optional<Spelling> spelling_before(const std::string& text, size_t value) {
  size_t at = skip_blank_back(text, value);
  if (at == 0 || text[at - 1] != '=') return std::nullopt;
  const size_t end = skip_blank_back(text, at - 1);
  const size_t last = component_start(text, end);
  if (last == end) return std::nullopt;
  Spelling spelling = {.start = last};
  for (at = skip_blank_back(text, last); at > 0 && text[at - 1] == '.';
       at = skip_blank_back(text, spelling.start))
    spelling.start = component_start(text, skip_blank_back(text, at - 1));
  spelling.leading = text.substr(spelling.start, last - spelling.start);
  spelling.is_inline = at > 0 && (text[at - 1] == '{' || text[at - 1] == ',');
  if (!spelling.is_inline && at > 0 && text[at - 1] != '\n') return std::nullopt;
  return spelling;
}

// Into the array that is there, or as a setting of its own before another one of the key, spelt as
// that is.
Result<Edit> entry_edit(const Key& key, const std::string& entry,
                        const std::vector<SourceFile>& sources) {
  const std::string quoted = "\"" + entry + "\"";
  if (const SettingPlace* place = find_setting(key.settings, "revoked")) {
    const std::string& text = sources[place->position.file].text;
    const size_t at = offset_of(text, place->position);
    if (at >= text.size() || text[at] != '[') return fail("`revoked` is not where it was read");
    return Edit{place->position.file, at + 1, 0, quoted + ", "};
  }
  for (const SettingPlace& place : key.settings) {
    const std::string& text = sources[place.position.file].text;
    const auto spelling = spelling_before(text, offset_of(text, place.position));
    if (!spelling) continue;
    const size_t line = text.rfind('\n', spelling->start) + 1;  // npos + 1 is 0
    const std::string indent = spelling->is_inline ? "" : text.substr(line, spelling->start - line);
    return Edit{place.position.file, spelling->start, 0,
                spelling->leading + "revoked = [" + quoted + "]" +
                    (spelling->is_inline ? ", " : "\n" + indent)};
  }
  return fail("nothing of key `" + key.name + "` is where it was read",
              "add revoked = [" + quoted + "] to it by hand, and raise `version`");
}

Result<Edit> version_edit(const Policy& policy, const std::vector<SourceFile>& sources) {
  const SettingPlace* place = find_setting(policy.settings, "version");
  if (place == nullptr) return fail("the policy has no version");
  const std::string& text = sources[place->position.file].text;
  const size_t at = offset_of(text, place->position);
  const size_t end =
      std::min(text.find_first_not_of("+0123456789_xobabcdefABCDEF", at), text.size());
  return Edit{place->position.file, at, end - at, std::to_string(policy.version + 1)};
}

}  // namespace

Result<std::vector<SourceFile>> revoke(const Policy& policy, std::vector<SourceFile> sources,
                                       size_t key, const std::string& entry) {
  auto added = entry_edit(policy.keys[key], entry, sources);
  if (!added) return std::unexpected(std::move(added).error());
  auto raised = version_edit(policy, sources);
  if (!raised) return std::unexpected(std::move(raised).error());
  // The later one of the text first, so that the other's place stays true.
  const bool is_added_last = added->at > raised->at;
  for (const Edit* edit : {is_added_last ? &*added : &*raised, is_added_last ? &*raised : &*added})
    sources[edit->file].text.replace(edit->at, edit->removed, edit->added);
  return sources;
}

}  // namespace bpfwarden::policy

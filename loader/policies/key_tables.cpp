#include "loader/policies/key_tables.h"

#include <algorithm>

#include "policy/answers/rule_text.h"
#include "policy/answers/suggest_text.h"
#include "policy/language/syntax_reader.h"

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;
using policy::Array;
using policy::Entry;
using policy::Table;

constexpr std::string_view kFingerprint = "sha256:";
constexpr size_t kNameHead = 16;  // hexadecimal digits of a fingerprint in a file's name

const Table* table_named(const Table& table, std::string_view name) {
  const auto found = std::ranges::find(table, name, &Entry::key);
  return found == table.end() ? nullptr : std::get_if<Table>(&found->value.data);
}

bool holds(const CertificateFile& file) {
  const auto now = keyring::read_certificates(file.path);
  return now && std::ranges::equal(*now, file.certificates, {}, &Certificate::der);
}

class Writer {
 public:
  Writer(const CheckedPolicy& base, fs::path folder) : base_(base), folder_(std::move(folder)) {}

  // `file` is where the table stands.
  Status add(const std::string& name, const Table& key, const std::string& file);
  KeyTables take() { return std::move(result_); }

 private:
  Status add_paths(const std::string& name, const Array& values, const std::string& file,
                   std::vector<std::string>& written);
  void add_file(const std::string& name, const CertificateFile& file,
                std::vector<std::string>& written);
  void write_out(const std::string& name, const CertificateFile& file,
                 std::vector<std::string>& written);
  void note(const std::string& path, const CertificateFile& file) {
    result_.certificates.certificates[path] = {{path, file.certificates}};
  }

  const CheckedPolicy& base_;
  fs::path folder_;
  KeyTables result_;
};

// One file for each certificate, named for its key and its fingerprint.
void Writer::write_out(const std::string& name, const CertificateFile& file,
                       std::vector<std::string>& written) {
  std::string plain = name;
  std::ranges::replace_if(
      plain, [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '_'; }, '_');
  for (const auto& der : file.certificates) {
    const std::string entry =
        "certs/" + plain + "-" + hex(keyring::sha256(der)).substr(0, kNameHead) + ".der";
    const std::string path = folder_ / entry;
    result_.files[path] = std::string(der.begin(), der.end());
    note(path, {path, {der}});
    written.push_back(entry);
  }
}

void Writer::add_file(const std::string& name, const CertificateFile& file,
                      std::vector<std::string>& written) {
  const bool is_there = holds(file);
  if (!is_there && !folder_.empty()) return write_out(name, file, written);
  const std::string path = fs::absolute(file.path).lexically_normal();
  if (!is_there)
    result_.text += "# " + policy::printable(path) +
                    " is not there, or another one by now: with -o FILE it is written out\n";
  note(path, file);
  written.push_back(path);
}

Status Writer::add_paths(const std::string& name, const Array& values, const std::string& file,
                         std::vector<std::string>& written) {
  const fs::path from = fs::path(file).parent_path();
  for (const policy::Value& value : values) {
    const auto* text = std::get_if<std::string>(&value.data);
    if (text == nullptr) continue;
    if (text->starts_with(kFingerprint)) {
      written.push_back(*text);
      continue;
    }
    const auto& known = base_.snapshot.certificates;
    const auto found = known.find((from / *text).string());
    if (found == known.end())
      return fail("the copy of the policy lacks " + *text, "name the policy's file: --policy FILE");
    std::vector<std::string> here;
    for (const CertificateFile& one : found->second) add_file(name, one, here);
    written.insert(written.end(), here.begin(), here.end());
    result_.entries[{file, *text}] = std::move(here);
  }
  return {};
}

std::string list_text(const char* setting, const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values)
    text += (text.empty() ? "" : ", ") + policy::toml_string(value);
  return std::string(setting) + " = [" + text + "]\n";
}

Status Writer::add(const std::string& name, const Table& key, const std::string& file) {
  std::string settings;
  for (const Entry& entry : key) {
    if (const auto* text = std::get_if<std::string>(&entry.value.data))
      settings += entry.key + " = " + policy::toml_string(*text) + "\n";
    const auto* values = std::get_if<Array>(&entry.value.data);
    if (values == nullptr) continue;
    std::vector<std::string> written;
    if (Status added = add_paths(name, *values, file, written); !added) return added;
    settings += list_text(entry.key.c_str(), written);
  }
  result_.text += policy::key_header(name) + "\n" + settings + "\n";
  return {};
}

}  // namespace

Result<KeyTables> key_tables(const CheckedPolicy& base, const std::set<std::string>& names,
                             const std::string& folder) {
  Writer writer(base, folder);
  for (const auto& source : base.snapshot.sources) {
    policy::DiagnosticList diagnostics({source.name});
    const auto document = policy::read_syntax(source, 0, diagnostics);
    const Table* keys = document ? table_named(*document, "keys") : nullptr;
    if (keys == nullptr) continue;
    for (const Entry& entry : *keys) {
      const auto* key = std::get_if<Table>(&entry.value.data);
      if (key == nullptr || !names.contains(entry.key)) continue;
      if (Status added = writer.add(entry.key, *key, source.name); !added)
        return std::unexpected(std::move(added).error());
    }
  }
  return writer.take();
}

}  // namespace bpfwarden::loader

#include "loader/bundles/skeleton_header.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/file.h"

namespace bpfwarden::loader {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kMaxHeader = 64 << 20;  // four characters a byte of what the kernel can verify
constexpr const char* kHint = "make it with `bpftool gen skeleton -L -S -k KEY -i CERT OBJECT`";

Result<std::string> read_header(const std::filesystem::path& path) {
  const auto bytes = read_file(path, kMaxHeader);
  if (!bytes) return std::unexpected(bytes.error());
  return std::string(bytes->begin(), bytes->end());
}

// Between the quotes of `static const char NAME[] … = "…";`.
struct Literal {
  size_t start = 0;
  size_t size = 0;
};

Result<Literal> find_literal(std::string_view text, const std::string& name) {
  const size_t declared = text.find("static const char " + name + "[]");
  const size_t open =
      declared == std::string_view::npos ? declared : text.find('"', text.find('=', declared));
  const size_t close = open == std::string_view::npos ? open : text.find('"', open + 1);
  if (close == std::string_view::npos)
    return fail("it has no " + name + ": not the header of a signed light skeleton", kHint);
  return Literal{open + 1, close - open - 1};
}

// bpftool writes \0, \xNN and, at the end of a line, a lone backslash; nothing else.
Result<Bytes> decode(std::string_view literal, const std::string& name) {
  Bytes bytes;
  for (size_t at = 0; at < literal.size();) {
    const std::string_view rest = literal.substr(at);
    unsigned value = 0;
    if (rest.starts_with("\\\n")) {
      at += 2;
    } else if (rest.starts_with("\\0")) {
      bytes.push_back(0);
      at += 2;
    } else if (rest.starts_with("\\x") && rest.size() >= 4 &&
               std::from_chars(rest.data() + 2, rest.data() + 4, value, 16).ptr ==
                   rest.data() + 4) {
      bytes.push_back(static_cast<uint8_t>(value));
      at += 4;
    } else {
      return fail(name + " is not written as bpftool writes it", kHint);
    }
  }
  return bytes;
}

Result<Bytes> read_array(std::string_view text, const std::string& name) {
  const auto literal = find_literal(text, name);
  if (!literal) return std::unexpected(literal.error());
  return decode(text.substr(literal->start, literal->size), name);
}

// The names of the members that are declared as `struct TYPE NAME;`, in order.
std::vector<std::string> members_of(std::string_view text, std::string_view type) {
  const std::string words = "struct " + std::string(type) + " ";
  std::vector<std::string> names;
  for (size_t at = text.find(words); at != std::string_view::npos; at = text.find(words, at)) {
    at += words.size();
    const size_t end = text.find(';', at);
    if (end == std::string_view::npos) break;
    names.emplace_back(text.substr(at, end - at));
  }
  return names;
}

Result<keyring::Bundle> parse(std::string_view text) {
  keyring::Bundle bundle = {};
  for (const auto& [name, field] :
       {std::pair("opts_insn", &bundle.insns), std::pair("opts_data", &bundle.metadata),
        std::pair("opts_sig", &bundle.signature)}) {
    auto bytes = read_array(text, name);
    if (!bytes) return std::unexpected(std::move(bytes).error());
    *field = std::move(*bytes);
  }
  bundle.tool = "bpftool";
  for (std::string& name : members_of(text, "bpf_map_desc"))
    bundle.maps.push_back({std::move(name)});
  for (std::string& name : members_of(text, "bpf_prog_desc"))
    bundle.programs.push_back({.name = std::move(name), .section = {}, .attach = {}});
  return bundle;
}

std::string as_literal(const Bytes& bytes) {
  std::string text = "\\\n";
  for (size_t i = 0; i < bytes.size(); i++) {
    char escaped[5] = "";
    std::snprintf(escaped, sizeof(escaped), "\\x%02x", bytes[i]);
    text += escaped;
    if (i % 19 == 18) text += "\\\n";
  }
  return text;
}

}  // namespace

bool is_skeleton_header(const std::filesystem::path& path) { return path.extension() == ".h"; }

Result<keyring::Bundle> read_skeleton_header(const std::filesystem::path& path) {
  const auto text = read_header(path);
  if (!text) return std::unexpected(text.error());
  auto bundle = parse(*text);
  if (!bundle) return std::unexpected(std::move(bundle).error().within(path.string()));
  bundle->name = path.stem().string();
  // The limits of a bundle, which a hostile header must not exceed either.
  if (const auto encoded = keyring::encode(*bundle); !encoded)
    return std::unexpected(Error(encoded.error()).within(path.string()));
  return bundle;
}

Result<std::string> resign_skeleton_header(const std::filesystem::path& path,
                                           const std::vector<uint8_t>& signature) {
  auto text = read_header(path);
  if (!text) return text;
  const auto literal = find_literal(*text, "opts_sig");
  if (!literal) return std::unexpected(Error(literal.error()).within(path.string()));
  text->replace(literal->start, literal->size, as_literal(signature));
  return text;
}

Result<keyring::Bundle> read_signed(const std::filesystem::path& path) {
  auto bundle = is_skeleton_header(path) ? read_skeleton_header(path) : keyring::read_bundle(path);
  if (!bundle) return unreadable(std::move(bundle).error());
  return bundle;
}

}  // namespace bpfwarden::loader

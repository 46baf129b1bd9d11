#include "loader/policies/uprobe_symbols.h"

#include <fcntl.h>
#include <gelf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/fd.h"

namespace bpfwarden::loader {
namespace {

using std::string;
using std::string_view;

struct CloseBinary {
  void operator()(Elf* elf) const { elf_end(elf); }
};

bool is_called(string_view name, string_view symbol) {
  return name == symbol || name.substr(0, name.find('@')) == symbol;
}

// Where the function begins in the file; nothing for what is no function, or defined elsewhere.
std::optional<uint64_t> offset_of(Elf* elf, const GElf_Sym& symbol) {
  if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC) return std::nullopt;
  if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE) return std::nullopt;
  GElf_Shdr home = {};
  if (gelf_getshdr(elf_getscn(elf, symbol.st_shndx), &home) == nullptr) return std::nullopt;
  return symbol.st_value - home.sh_addr + home.sh_offset;
}

void add_offsets(Elf* elf, Elf_Scn* table, string_view wanted, std::set<uint64_t>& offsets) {
  GElf_Shdr header = {};
  if (gelf_getshdr(table, &header) == nullptr || header.sh_entsize == 0) return;
  if (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) return;
  Elf_Data* data = elf_getdata(table, nullptr);
  if (data == nullptr) return;
  const auto count = static_cast<int>(data->d_size / header.sh_entsize);
  for (int i = 0; i < count; i++) {
    GElf_Sym symbol = {};
    if (gelf_getsym(data, i, &symbol) == nullptr) return;
    const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
    if (name == nullptr || !is_called(name, wanted)) continue;
    if (const auto offset = offset_of(elf, symbol)) offsets.insert(*offset);
  }
}

bool is_program(Elf* elf) {
  GElf_Ehdr header = {};
  return elf != nullptr && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) != nullptr &&
         (header.e_type == ET_EXEC || header.e_type == ET_DYN);
}

// ---- Targets ------------------------------------------------------------------------------------

// `FILE:REST`
struct FileTarget {
  string file;
  string rest;
};

std::optional<FileTarget> split(const policy::AttachPattern& pattern, bool is_usdt) {
  const string& target = pattern.target.text;
  // The rest of a USDT probe, `PROVIDER:NAME`, has a colon of its own.
  const size_t colon = is_usdt ? target.find(':') : target.rfind(':');
  if (colon == string::npos || colon == 0) return std::nullopt;
  return FileTarget{target.substr(0, colon), target.substr(colon + 1)};
}

// `readline`, `readline+8`, `0x4a1f0`
Result<std::vector<uint64_t>> offsets_of(const std::filesystem::path& file, string_view place) {
  if (const auto offset = policy::offset_in(place)) return std::vector{*offset};
  const size_t plus = place.find('+');
  const string_view symbol = place.substr(0, plus);
  const auto further = plus == string_view::npos ? std::optional<uint64_t>(0)
                                                 : policy::offset_in(place.substr(plus + 1));
  if (!further) return fail("`" + string(place.substr(plus)) + "` is no offset");
  auto offsets = function_offsets(file, symbol);
  if (!offsets) return offsets;
  if (offsets->empty()) return fail("no function `" + string(symbol) + "` in " + file.string());
  for (uint64_t& offset : *offsets) offset += *further;
  return offsets;
}

// ---- Rules --------------------------------------------------------------------------------------

class HostRule {
 public:
  HostRule(policy::Rule& rule, policy::DiagnosticList& diagnostics)
      : rule_(rule), diagnostics_(diagnostics) {}

  void complete() {
    const std::vector<policy::AttachEntry> written = rule_.attach;
    for (const policy::AttachEntry& entry : written) {
      const bool is_usdt = entry.pattern.families.test(*policy::find_family("usdt"));
      if (entry.pattern.target.match == policy::TargetMatch::all) continue;
      if (!is_usdt && !policy::is_uprobe(entry.pattern.families)) continue;
      if (const auto target = split(entry.pattern, is_usdt)) complete(entry, *target, is_usdt);
    }
  }

 private:
  void complete(const policy::AttachEntry& entry, const FileTarget& target, bool is_usdt) {
    const bool is_symbol = !is_usdt && entry.pattern.target.match == policy::TargetMatch::exact;
    if (!target.file.starts_with('/'))
      return warn(entry, "`" + target.file + "` is no path from the root");
    std::error_code error;
    const auto file = std::filesystem::canonical(target.file, error);
    if (error && is_symbol) return warn(entry, target.file + ": " + error.message());
    if (error) return;  // as written, it matches once the file is there
    if (!is_symbol) return add(entry, file.string() + ":" + target.rest);
    const auto offsets = offsets_of(file, target.rest);
    if (!offsets) return warn(entry, offsets.error().message);
    for (const uint64_t offset : *offsets)
      for (const string& path : {target.file, file.string()})
        add(entry, path + ":" + policy::offset_text(offset));
  }

  void add(const policy::AttachEntry& entry, string target) {
    if (target == entry.pattern.target.text) return;
    if (target.size() >= BW_NAME_SIZE) return warn(entry, target + " is longer than 127 bytes");
    policy::AttachEntry more = entry;
    more.pattern.target.text = std::move(target);
    rule_.attach.push_back(std::move(more));
  }

  void warn(const policy::AttachEntry& entry, const string& why) {
    diagnostics_.warning(kUprobeNotFound, entry.position,
                         "`" + entry.pattern.text + "` matches no attachment on this host: " + why,
                         "apply the policy again once that is there, or take it out");
  }

  policy::Rule& rule_;
  policy::DiagnosticList& diagnostics_;
};

}  // namespace

Result<std::vector<uint64_t>> function_offsets(const std::filesystem::path& file,
                                               std::string_view symbol) {
  const Fd opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!opened) return fail_errno(errno, "cannot open " + file.string());
  elf_version(EV_CURRENT);
  const std::unique_ptr<Elf, CloseBinary> elf(elf_begin(opened.get(), ELF_C_READ, nullptr));
  if (!is_program(elf.get()))
    return fail(file.string() + " is no ELF executable or library",
                "an interpreter's functions are in its own file");
  std::set<uint64_t> offsets;
  for (Elf_Scn* section = elf_nextscn(elf.get(), nullptr); section != nullptr;
       section = elf_nextscn(elf.get(), section))
    add_offsets(elf.get(), section, symbol, offsets);
  return std::vector<uint64_t>(offsets.begin(), offsets.end());
}

Result<std::vector<policy::Diagnostic>> find_uprobes(CompiledPolicy& compiled) {
  policy::Policy completed = compiled.policy;
  policy::DiagnosticList diagnostics(completed.files);
  for (policy::Rule& rule : completed.rules) HostRule(rule, diagnostics).complete();
  if (auto done = compile_again(compiled, std::move(completed)); !done)
    return std::unexpected(std::move(done).error());
  return diagnostics.take();
}

}  // namespace bpfwarden::loader

#include "loader/bundles/sign_object.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <memory>

#include "loader/bundles/elf_object.h"
#include "loader/bundles/program_attach.h"
#include "loader/kernel/libbpf_log.h"

namespace bpfwarden::loader {
namespace {

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, CloseObject>;

Result<Object> open_object(const std::filesystem::path& path, const LibbpfLog& log) {
  Object object(bpf_object__open(path.c_str()));
  if (!object)
    return fail_errno(errno, log.text() + "cannot open " + path.string(),
                      "give a BPF object: clang -target bpf -O2 -g -c prog.bpf.c -o prog.bpf.o");
  if (bpf_object__next_program(object.get(), nullptr) == nullptr)
    return fail(path.string() + " has no program");
  return object;
}

std::string bundle_name(const std::filesystem::path& path) {
  std::string name = path.filename();
  for (const char* ending : {".o", ".bpf"})
    if (name.ends_with(ending)) name.resize(name.size() - std::strlen(ending));
  return name;
}

void describe(keyring::Bundle& bundle, bpf_object* object, const std::filesystem::path& path) {
  bundle.name = bundle_name(path);
  bundle.tool = "bpfwarden " BPFWARDEN_VERSION;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) {
    keyring::ProgramEntry entry = {
        .name = bpf_program__name(program),
        .section = bpf_program__section_name(program),
        .prog_type = static_cast<uint32_t>(bpf_program__type(program)),
        .expected_attach_type = static_cast<uint32_t>(bpf_program__expected_attach_type(program)),
        .attach = {}};
    if (const auto point = attach_point_of(entry)) entry.attach = policy::attach_point_text(*point);
    bundle.programs.push_back(std::move(entry));
  }
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) bundle.maps.push_back({.name = bpf_map__name(map)});
}

std::vector<uint8_t> bytes_of(const void* start, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(start);
  return {bytes, bytes + size};
}

// An instruction that only libbpf could complete: a map, a subprogram, a kernel function.
bool needs_relocation(const bpf_insn& insn) {
  const bool is_call = insn.code == (BPF_JMP | BPF_CALL);
  const bool is_address = insn.code == (BPF_LD | BPF_IMM | BPF_DW);
  return (is_call || is_address) && insn.src_reg != 0;
}

Status require_bare(bpf_object* object, const ElfFacts& facts) {
  const char* hint = "sign it without --prog-only: the loader's signature covers all of it";
  bpf_program* program = bpf_object__next_program(object, nullptr);
  if (bpf_object__next_program(object, program) != nullptr)
    return fail("a prog-only signature covers one program, the object has more", hint);
  if (bpf_object__next_map(object, nullptr) != nullptr)
    return fail("a prog-only signature covers no map or global data, the object has some", hint);
  if (facts.has_core_relocations)
    return fail("CO-RE relocations change a program after its signature was checked", hint);
  const bpf_insn* insns = bpf_program__insns(program);
  for (size_t i = 0; i < bpf_program__insn_cnt(program); i++)
    if (needs_relocation(insns[i]))
      return fail("the program calls a function or uses an address that is resolved only later",
                  hint);
  return {};
}

}  // namespace

Result<keyring::Bundle> make_loader_bundle(const std::filesystem::path& path) {
  const LibbpfLog log;
  auto facts = read_elf_facts(path);
  if (!facts) return std::unexpected(std::move(facts).error());
  auto object = open_object(path, log);
  if (!object) return std::unexpected(std::move(object).error());
  gen_loader_opts made = {};
  made.sz = sizeof(made);
  made.gen_hash = true;
  int error = bpf_object__gen_loader(object->get(), &made);
  if (error == 0) error = bpf_object__load(object->get());
  if (error != 0)
    return fail_errno(-error, log.text() + "cannot make a loader for " + path.string());
  keyring::Bundle bundle = {};
  bundle.kind = keyring::Bundle::Kind::loader;
  describe(bundle, object->get(), path);
  bundle.license = facts->license;
  bundle.insns = bytes_of(made.insns, made.insns_sz);
  bundle.metadata = bytes_of(made.data, made.data_sz);
  return bundle;
}

Result<keyring::Bundle> make_program_bundle(const std::filesystem::path& path) {
  const LibbpfLog log;
  auto facts = read_elf_facts(path);
  if (!facts) return std::unexpected(std::move(facts).error());
  auto object = open_object(path, log);
  if (!object) return std::unexpected(std::move(object).error());
  if (auto bare = require_bare(object->get(), *facts); !bare)
    return std::unexpected(std::move(bare).error().within(path.string()));
  keyring::Bundle bundle = {};
  bundle.kind = keyring::Bundle::Kind::program;
  describe(bundle, object->get(), path);
  bundle.license = facts->license;
  const std::string& section = bundle.programs.front().section;
  const size_t slash = section.find('/');
  if (slash != std::string::npos) bundle.attach_name = section.substr(slash + 1);
  const bpf_program* program = bpf_object__next_program(object->get(), nullptr);
  bundle.maps.clear();
  bundle.insns =
      bytes_of(bpf_program__insns(program), bpf_program__insn_cnt(program) * sizeof(bpf_insn));
  return bundle;
}

}  // namespace bpfwarden::loader

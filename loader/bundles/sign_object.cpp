#include "loader/bundles/sign_object.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <memory>

#include "loader/bundles/elf_object.h"
#include "loader/bundles/program_attach.h"
#include "loader/kernel/libbpf_log.h"
#include "loader/kernel/version.h"

namespace bpfwarden::loader {
namespace {

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, CloseObject>;

// What a loader has room for: libbpf's gen_loader.c keeps MAX_USED_PROGS on the stack of a BPF
// program and MAX_USED_MAPS in its data.
constexpr size_t kMostPrograms = 32, kMostMaps = 64;

// SEC("?…") says that a program is loaded where somebody asks for it; a loader has nobody to ask.
bool is_loaded(const bpf_program* program) { return bpf_program__autoload(program); }

size_t count_loaded(bpf_object* object) {
  size_t count = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) count += is_loaded(program) ? 1U : 0U;
  return count;
}

Result<Object> open_object(const std::filesystem::path& path, const LibbpfLog& log) {
  Object object(bpf_object__open(path.c_str()));
  if (!object)
    return unreadable(
        fail_errno(errno, log.text() + "cannot open " + path.string(),
                   "give a BPF object: clang -target bpf -O2 -g -c prog.bpf.c -o prog.bpf.o"));
  if (bpf_object__next_program(object.get(), nullptr) == nullptr)
    return fail(path.string() + " has no program");
  if (count_loaded(object.get()) == 0)
    return fail(path.string() + ": all its programs are optional, SEC(\"?…\"), so none is loaded",
                "take the ? out of the section of those that are to be loaded");
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
  bundle.tool = std::string("bpfwarden ") + kVersion;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) {
    if (!is_loaded(program)) continue;
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

bpf_program* first_loaded(bpf_object* object) {
  bpf_program* program = bpf_object__next_program(object, nullptr);
  while (program != nullptr && !is_loaded(program))
    program = bpf_object__next_program(object, program);
  return program;
}

Status require_bare(bpf_object* object, const ElfFacts& facts) {
  const char* hint = "sign it without --prog-only: the loader's signature covers all of it";
  bpf_program* program = first_loaded(object);
  if (count_loaded(object) != 1)
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

bool has_map_of(bpf_object* object, bpf_map_type type) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__type(map) == type) return true;
  }
  return false;
}

bool loads_struct_ops(bpf_object* object) {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) {
    if (is_loaded(program) && bpf_program__type(program) == BPF_PROG_TYPE_STRUCT_OPS) return true;
  }
  return has_map_of(object, BPF_MAP_TYPE_STRUCT_OPS);
}

size_t count_maps(bpf_object* object) {
  size_t count = 0;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) count++;
  return count;
}

std::string too_many(size_t count, const char* what, size_t most) {
  return std::to_string(count) + " " + what + ", and a signed loader has room for " +
         std::to_string(most);
}

// What libbpf would make a loader of that no kernel runs, or crash over.
Status require_loadable(bpf_object* object) {
  if (loads_struct_ops(object))
    return fail("libbpf makes no signed loader for struct_ops",
                "sign the other programs without it; struct_ops are admitted by a rule for "
                "unsigned programs, `struct_ops/TYPE.MEMBER`, with their digests");
  if (const size_t programs = count_loaded(object); programs > kMostPrograms)
    return fail(too_many(programs, "programs", kMostPrograms), "split the object");
  if (const size_t maps = count_maps(object); maps > kMostMaps)
    return fail(too_many(maps, "maps", kMostMaps), "split the object");
  return {};
}

Error loader_error(int code, bpf_object* object, const LibbpfLog& log) {
  if (code == ENOTSUP && has_map_of(object, BPF_MAP_TYPE_PROG_ARRAY))
    return {
        code, "libbpf makes no signed loader that fills a prog_array",
        "leave the array's .values out of the source, and fill it once the programs are loaded"};
  Error error = fail_errno(code, log.text() + "cannot make a loader").error();
  error.hint = "see what `bpftool prog load -L` says of the object";
  return error;
}

}  // namespace

Result<keyring::Bundle> make_loader_bundle(const std::filesystem::path& path) {
  const LibbpfLog log;
  auto facts = read_elf_facts(path);
  if (!facts) return std::unexpected(std::move(facts).error());
  auto object = open_object(path, log);
  if (!object) return std::unexpected(std::move(object).error());
  if (Status loadable = require_loadable(object->get()); !loadable)
    return std::unexpected(std::move(loadable).error().within(path.string()));
  gen_loader_opts made = {};
  made.sz = sizeof(made);
  made.gen_hash = true;
  int error = bpf_object__gen_loader(object->get(), &made);
  if (error == 0) error = bpf_object__load(object->get());
  if (error != 0)
    return std::unexpected(loader_error(-error, object->get(), log).within(path.string()));
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
  const bpf_program* program = first_loaded(object->get());
  bundle.maps.clear();
  bundle.insns =
      bytes_of(bpf_program__insns(program), bpf_program__insn_cnt(program) * sizeof(bpf_insn));
  return bundle;
}

}  // namespace bpfwarden::loader

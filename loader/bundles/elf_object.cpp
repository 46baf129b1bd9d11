#include "loader/bundles/elf_object.h"

#include <bpf/btf.h>
#include <fcntl.h>
#include <gelf.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/fd.h"

namespace bpfwarden::loader {
namespace {

struct CloseElf {
  void operator()(Elf* elf) const { elf_end(elf); }
};
struct FreeBtf {
  void operator()(btf* owned) const { btf__free(owned); }
};
struct FreeBtfExt {
  void operator()(btf_ext* owned) const { btf_ext__free(owned); }
};

std::string section_text(Elf* elf, const char* wanted) {
  size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) return {};
  for (Elf_Scn* section = elf_nextscn(elf, nullptr); section != nullptr;
       section = elf_nextscn(elf, section)) {
    GElf_Shdr header = {};
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const char* name = elf_strptr(elf, names, header.sh_name);
    if (name == nullptr || std::strcmp(name, wanted) != 0) continue;
    const Elf_Data* data = elf_getdata(section, nullptr);
    if (data == nullptr || data->d_buf == nullptr) return {};
    const char* text = static_cast<const char*>(data->d_buf);
    return {text, ::strnlen(text, data->d_size)};
  }
  return {};
}

bool has_core_relocations(const std::filesystem::path& object) {
  constexpr uint32_t core_relo_len_offset = 28, header_with_core = 32;
  btf_ext* extension = nullptr;
  const std::unique_ptr<btf, FreeBtf> types(btf__parse(object.c_str(), &extension));
  const std::unique_ptr<btf_ext, FreeBtfExt> owner(extension);
  if (extension == nullptr) return false;
  uint32_t size = 0, header_length = 0, core_length = 0;
  const auto* raw = static_cast<const char*>(btf_ext__raw_data(extension, &size));
  if (raw == nullptr || size < header_with_core) return false;
  std::memcpy(&header_length, raw + 4, sizeof(header_length));
  if (header_length < header_with_core) return false;
  std::memcpy(&core_length, raw + core_relo_len_offset, sizeof(core_length));
  return core_length != 0;
}

}  // namespace

Result<ElfFacts> read_elf_facts(const std::filesystem::path& object) {
  const Fd file(::open(object.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO has no writer
  if (!file) return unreadable(fail_errno(errno, "cannot open " + object.string()));
  elf_version(EV_CURRENT);
  const std::unique_ptr<Elf, CloseElf> elf(elf_begin(file.get(), ELF_C_READ, nullptr));
  if (!elf || elf_kind(elf.get()) != ELF_K_ELF)
    return unreadable(
        fail(object.string() + " is not an ELF object",
             "give a BPF object: clang -target bpf -O2 -g -c prog.bpf.c -o prog.bpf.o"));
  return ElfFacts{.license = section_text(elf.get(), "license"),
                  .has_core_relocations = has_core_relocations(object)};
}

}  // namespace bpfwarden::loader

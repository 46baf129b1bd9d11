#include "loader/bundles/disassemble.h"

#include <elf.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace bpfwarden::loader {
namespace {

// The smallest object that llvm-objdump takes: the instructions as `.text`, and names.
std::vector<uint8_t> as_object(std::span<const uint8_t> insns) {
  constexpr char names[] = "\0.text\0.shstrtab";
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = EM_BPF;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof(header);
  header.e_shentsize = sizeof(Elf64_Shdr);
  std::array<Elf64_Shdr, 3> sections = {};
  header.e_shnum = sections.size();
  header.e_shstrndx = 2;
  sections[1] = {.sh_name = 1,
                 .sh_type = SHT_PROGBITS,
                 .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                 .sh_offset = sizeof(header),
                 .sh_size = insns.size(),
                 .sh_addralign = 8};
  sections[2] = {.sh_name = 7,
                 .sh_type = SHT_STRTAB,
                 .sh_offset = sizeof(header) + insns.size(),
                 .sh_size = sizeof(names),
                 .sh_addralign = 1};
  header.e_shoff = (sections[2].sh_offset + sizeof(names) + 7) / 8 * 8;
  std::vector<uint8_t> object(header.e_shoff + sizeof(sections));
  std::memcpy(object.data(), &header, sizeof(header));
  std::memcpy(object.data() + sections[1].sh_offset, insns.data(), insns.size());
  std::memcpy(object.data() + sections[2].sh_offset, names, sizeof(names));
  std::memcpy(object.data() + header.e_shoff, sections.data(), sizeof(sections));
  return object;
}

// A folder of its own, gone with what is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = std::filesystem::temp_directory_path() / "bpfwarden.XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Standard output; nothing if it cannot be run or fails.
std::optional<std::string> output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "re");
  if (pipe == nullptr) return std::nullopt;
  std::string text;
  std::array<char, 4096> buffer;
  while (const size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe))
    text.append(buffer.data(), size);
  const int status = ::pclose(pipe);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? std::optional(text) : std::nullopt;
}

}  // namespace

Result<std::string> disassemble(std::span<const uint8_t> insns) {
  const TemporaryFolder folder;
  if (folder.path().empty()) return fail("cannot make a folder for the disassembler");
  const auto object = folder.path() / "insns.o";
  if (Status written = replace_file(object, as_object(insns)); !written)
    return std::unexpected(std::move(written).error());
  for (const char* name : {"llvm-objdump", "llvm-objdump-19"}) {
    const auto text = output_of(std::string(name) + " --disassemble --no-show-raw-insn '" +
                                object.string() + "' 2>/dev/null");
    if (!text) continue;
    const size_t start = text->find("<.text>:\n");
    return start == std::string::npos ? *text : text->substr(start + std::strlen("<.text>:\n"));
  }
  return fail("llvm-objdump, which disassembles, is not installed", "apt-get install llvm");
}

}  // namespace bpfwarden::loader

#include "loader/bundles/generated_loader.h"

#include <linux/bpf.h>

#include <cstddef>
#include <cstring>
#include <optional>

namespace bpfwarden::loader {
namespace {

class LoaderText {
 public:
  LoaderText(std::span<const uint8_t> insns, std::span<const uint8_t> data) : data_(data) {
    insns_.resize(insns.size() / sizeof(bpf_insn));
    if (!insns_.empty()) std::memcpy(insns_.data(), insns.data(), insns_.size() * sizeof(bpf_insn));
  }

  [[nodiscard]] size_t size() const { return insns_.size(); }

  // Where in the data `rN = data + OFFSET` points to.
  [[nodiscard]] std::optional<uint32_t> pointer(size_t at, uint8_t reg) const {
    if (at + 1 >= insns_.size()) return std::nullopt;
    const bpf_insn& insn = insns_[at];
    const bool is_pointer = insn.code == (BPF_LD | BPF_IMM | BPF_DW) && insn.dst_reg == reg &&
                            insn.src_reg == BPF_PSEUDO_MAP_IDX_VALUE;
    if (!is_pointer) return std::nullopt;
    return static_cast<uint32_t>(insns_[at + 1].imm);
  }

  // `*(u64*)(data + TO) = data + FROM`, as emit_rel_store() writes it.
  struct Store {
    uint32_t to, from;
  };
  [[nodiscard]] std::optional<Store> store(size_t at) const {
    const auto from = pointer(at, BPF_REG_0), to = pointer(at + 2, BPF_REG_1);
    if (!from || !to || at + 4 >= insns_.size()) return std::nullopt;
    const bpf_insn& last = insns_[at + 4];
    const bool is_store = last.code == (BPF_STX | BPF_MEM | BPF_DW) && last.dst_reg == BPF_REG_1 &&
                          last.src_reg == BPF_REG_0 && last.off == 0;
    if (!is_store) return std::nullopt;
    return Store{*to, *from};
  }

  [[nodiscard]] bool calls(size_t at, int32_t helper) const {
    return insns_[at].code == (BPF_JMP | BPF_CALL) && insns_[at].src_reg == 0 &&
           insns_[at].imm == helper;
  }

  // bpf(BPF_PROG_LOAD, data + ATTR, …), as emit_sys_bpf() writes it.
  [[nodiscard]] bool loads_from(uint32_t attr) const {
    for (size_t at = 1; at + 3 < insns_.size(); at++)
      if (pointer(at, BPF_REG_2) == attr && calls(at + 3, BPF_FUNC_sys_bpf) &&
          insns_[at - 1].dst_reg == BPF_REG_1 && insns_[at - 1].imm == BPF_PROG_LOAD)
        return true;
    return false;
  }

  // Up to its NUL; nothing if that is not there.
  [[nodiscard]] std::optional<std::string> text(uint32_t at) const {
    if (at >= data_.size()) return std::nullopt;
    const auto* start = reinterpret_cast<const char*>(data_.data() + at);
    const size_t length = ::strnlen(start, data_.size() - at);
    if (length == data_.size() - at) return std::nullopt;
    return std::string(start, length);
  }

  // `*(u32*)(context + OFFSET) = rN`: bpf_gen__finish() hands out a descriptor.
  [[nodiscard]] bool hands_out(size_t at) const {
    return insns_[at].code == (BPF_STX | BPF_MEM | BPF_W) && insns_[at].dst_reg == BPF_REG_6;
  }

  [[nodiscard]] std::optional<bpf_attr> load_at(uint32_t at) const {
    constexpr size_t size = offsetof(bpf_attr, core_relo_rec_size) + sizeof(uint32_t);
    if (at > data_.size() || size > data_.size() - at) return std::nullopt;
    bpf_attr attr = {};
    std::memcpy(&attr, data_.data() + at, size);
    return attr;
  }

 private:
  std::vector<bpf_insn> insns_;
  std::span<const uint8_t> data_;
};

// Between two loads, the target of the first is looked up before anything else by its name.
std::string target_after(const LoaderText& loader, size_t at, const bpf_attr& attr) {
  const bool has_target = attr.prog_type == BPF_PROG_TYPE_TRACING ||
                          attr.prog_type == BPF_PROG_TYPE_LSM ||
                          attr.prog_type == BPF_PROG_TYPE_EXT;
  std::optional<uint32_t> name;
  for (; has_target && at < loader.size(); at++) {
    if (const auto pointed = loader.pointer(at, BPF_REG_1)) name = pointed;
    if (loader.calls(at, BPF_FUNC_sys_bpf)) return {};
    if (loader.calls(at, BPF_FUNC_btf_find_by_name_kind) && name)
      return loader.text(*name).value_or("");
  }
  return {};
}

// The license, then the instructions, are stored into the attributes of a load; other neighbours
// are as far apart.
std::optional<GeneratedLoad> program_at(const LoaderText& loader, size_t at) {
  const auto license = loader.store(at), insns = loader.store(at + 5);
  if (!license || !insns || license->to < offsetof(bpf_attr, license)) return std::nullopt;
  const uint32_t start = license->to - uint32_t{offsetof(bpf_attr, license)};
  const auto attr = loader.load_at(start);
  if (!attr || !loader.loads_from(start) || insns->to != start + offsetof(bpf_attr, insns))
    return std::nullopt;
  GeneratedLoad program;
  program.name.assign(attr->prog_name, ::strnlen(attr->prog_name, sizeof(attr->prog_name)));
  program.prog_type = attr->prog_type;
  program.expected_attach_type = attr->expected_attach_type;
  program.is_sleepable = (attr->prog_flags & BPF_F_SLEEPABLE) != 0;
  program.license = loader.text(license->from).value_or("");
  program.target = target_after(loader, at, *attr);
  return program;
}

// Of each program and each map one is handed out.
size_t descriptors_of_loader(std::span<const uint8_t> insns) {
  const LoaderText loader(insns, {});
  size_t count = 0;
  for (size_t at = 0; at < loader.size(); at++) count += loader.hands_out(at) ? 1U : 0U;
  return count;
}

// "bpf_lsm_file_open" is what lsm/file_open names.
bool has_target(const keyring::ProgramEntry& entry, const std::string& target) {
  const size_t slash = entry.attach.find('/');
  if (target.empty() || slash == std::string::npos) return true;
  return target.ends_with(std::string_view(entry.attach).substr(slash + 1));
}

// A header of bpftool's says no more than the name.
bool says_only_its_name(const keyring::ProgramEntry& entry) {
  return entry.prog_type == 0 && entry.expected_attach_type == 0 && entry.section.empty() &&
         entry.attach.empty();
}

bool describes(const keyring::ProgramEntry& entry, const GeneratedLoad& load) {
  if (std::string_view(entry.name).substr(0, BPF_OBJ_NAME_LEN - 1) != load.name) return false;
  return says_only_its_name(entry) || (entry.prog_type == load.prog_type &&
                                       entry.expected_attach_type == load.expected_attach_type &&
                                       has_target(entry, load.target));
}

}  // namespace

std::vector<GeneratedLoad> programs_of_loader(std::span<const uint8_t> insns,
                                              std::span<const uint8_t> metadata) {
  const LoaderText loader(insns, metadata);
  std::vector<GeneratedLoad> programs;
  for (size_t at = 0; at < loader.size(); at++)
    if (auto program = program_at(loader, at)) programs.push_back(std::move(*program));
  return programs;
}

Status require_described(const keyring::Bundle& bundle) {
  constexpr const char* hint = "it was changed after it was made: sign the object again";
  if (bundle.kind != keyring::Bundle::Kind::loader) return {};
  const auto loads = programs_of_loader(bundle.insns, bundle.metadata);
  if (loads.size() != bundle.programs.size() ||
      descriptors_of_loader(bundle.insns) != bundle.programs.size() + bundle.maps.size())
    return fail("the manifest names other programs or maps than the loader makes", hint);
  for (size_t i = 0; i < loads.size(); i++)
    if (!describes(bundle.programs[i], loads[i]))
      return fail("the manifest describes " + bundle.programs[i].name + ", and the loader loads " +
                      loads[i].name + " otherwise than that",
                  hint);
  return {};
}

}  // namespace bpfwarden::loader

#include "loader/btf/kernel_names.h"

#include <bpf/btf.h>

#include <memory>
#include <utility>

namespace bpfwarden::loader {
namespace {

using std::string_view;
using Types = std::unique_ptr<btf, decltype(&btf__free)>;

constexpr const char* kFolder = "/sys/kernel/btf";

void put_rest(std::set<std::string, std::less<>>& names, string_view name, string_view prefix) {
  if (name.starts_with(prefix)) names.emplace(name.substr(prefix.size()));
}

Result<Types> read_types(const std::filesystem::path& file) {
  Types types(btf__parse(file.c_str(), nullptr), btf__free);
  if (!types) return fail_errno(errno, "cannot read the BTF in " + file.string());
  return types;
}

}  // namespace

void KernelNames::add(const btf* types, string_view module) {
  OwnedNames& names = all_[std::string(module)];
  const btf* base = btf__base_btf(types);
  const uint32_t first = base == nullptr ? 1 : btf__type_cnt(base);
  for (uint32_t id = first; id < btf__type_cnt(types); id++) {
    const btf_type* type = btf__type_by_id(types, id);
    const string_view name = btf__name_by_offset(types, type->name_off);
    if (btf_is_func(type)) {
      names.functions.emplace(name);
      put_rest(names.hooks, name, "bpf_lsm_");
      put_rest(names.iterators, name, "bpf_iter_");
    } else if (btf_is_typedef(type)) {
      put_rest(names.tracepoints, name, "btf_trace_");
    } else if (btf_is_struct(type)) {
      put_rest(names.struct_ops, name, "bpf_struct_ops_");
    } else if (btf_is_var(type)) {
      names.variables.emplace(name);
    }
  }
}

Result<KernelNames> KernelNames::of_file(const std::filesystem::path& file) {
  const auto types = read_types(file);
  if (!types) return std::unexpected(types.error());
  KernelNames names;
  names.add(types->get(), "");
  return names;
}

Result<KernelNames> KernelNames::of_host() {
  const auto kernel = read_types(std::filesystem::path(kFolder) / "vmlinux");
  if (!kernel) return std::unexpected(kernel.error());
  KernelNames names;
  names.add(kernel->get(), "");
  std::error_code error;
  for (std::filesystem::directory_iterator entry(kFolder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string module = entry->path().filename();
    if (module == "vmlinux") continue;
    const Types types(btf__parse_split(entry->path().c_str(), kernel->get()), btf__free);
    if (types) names.add(types.get(), module);
  }
  return names;
}

const OwnedNames* KernelNames::owned_by(string_view module) const {
  const auto found = all_.find(module);
  return found == all_.end() ? nullptr : &found->second;
}

}  // namespace bpfwarden::loader

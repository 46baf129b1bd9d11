#include "tests/vm/helpers/symbols.h"

#include <bpf/bpf.h>

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/vm/helpers/attach/attach_routes.h"

namespace bpfwarden::vm {
namespace {

// The first of each name: modules come last.
std::map<std::string, unsigned long> read_symbols() {
  std::map<std::string, unsigned long> found;
  std::ifstream lines("/proc/kallsyms");
  std::string address, type, name, rest;
  while (lines >> address >> type >> name && std::getline(lines, rest))
    found.try_emplace(name, std::stoul(address, nullptr, 16));
  return found;
}

}  // namespace

unsigned long address_of(const std::string& function) {
  static const std::map<std::string, unsigned long> symbols = read_symbols();
  const auto found = symbols.find(function);
  INFO(function);
  REQUIRE(found != symbols.end());
  REQUIRE(found->second != 0);
  return found->second;
}

std::string address_text(const std::string& function) {
  std::ostringstream text;
  text << "0x" << std::hex << address_of(function);
  return text.str();
}

int attach_functions(const Fd& program, bpf_attach_type type, uint32_t flags,
                     const std::vector<std::string>& functions) {
  std::vector<const char*> names;
  for (const std::string& function : functions) names.push_back(function.c_str());
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.kprobe_multi.flags = flags;
  options.kprobe_multi.cnt = static_cast<uint32_t>(names.size());
  options.kprobe_multi.syms = names.data();
  return error_of_made(bpf_link_create(program.get(), 0, type, &options));
}

int attach_addresses(const Fd& program, bpf_attach_type type, uint32_t flags,
                     const std::vector<unsigned long>& addresses) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.kprobe_multi.flags = flags;
  options.kprobe_multi.cnt = static_cast<uint32_t>(addresses.size());
  options.kprobe_multi.addrs = addresses.data();
  return error_of_made(bpf_link_create(program.get(), 0, type, &options));
}

int attach_offsets(const Fd& program, bpf_attach_type type, uint32_t flags, const char* file,
                   const std::vector<unsigned long>& offsets) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.uprobe_multi.flags = flags;
  options.uprobe_multi.cnt = static_cast<uint32_t>(offsets.size());
  options.uprobe_multi.path = file;
  options.uprobe_multi.offsets = offsets.data();
  return error_of_made(bpf_link_create(program.get(), 0, type, &options));
}

int attach_offsets(const Fd& program, bpf_attach_type type, const Fd& file,
                   const std::vector<unsigned long>& offsets) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.uprobe_multi.flags = BPF_F_UPROBE_MULTI_PATH_FD;
  options.uprobe_multi.cnt = static_cast<uint32_t>(offsets.size());
  options.uprobe_multi.path_fd = static_cast<uint32_t>(file.get());
  options.uprobe_multi.offsets = offsets.data();
  return error_of_made(bpf_link_create(program.get(), 0, type, &options));
}

}  // namespace bpfwarden::vm

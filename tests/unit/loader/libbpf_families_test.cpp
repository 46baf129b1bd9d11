// The attach points of the language against what this libbpf takes for section names.
#include <bpf/libbpf.h>

#include <set>
#include <sstream>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "policy/language/attach_point.h"

using namespace bpfwarden::policy;

namespace {

std::string printed;

int keep_print(libbpf_print_level, const char* format, va_list arguments) {
  char text[8192];
  std::vsnprintf(text, sizeof(text), format, arguments);
  printed += text;
  return 0;
}

// libbpf lists all names when it is asked for one that it does not know.
std::set<std::string> names_of_libbpf() {
  printed.clear();
  const auto previous = libbpf_set_print(keep_print);
  bpf_prog_type type;
  bpf_attach_type attach;
  const int error = libbpf_prog_type_by_name("no such section", &type, &attach);
  libbpf_set_print(previous);
  REQUIRE(error < 0);
  std::set<std::string> names;
  std::istringstream words(printed.substr(printed.rfind(':') + 1));
  for (std::string word; words >> word;) names.insert(word.substr(0, word.find('+')));
  return names;
}

// Spellings of libbpf that are no attach points of their own: how the program is loaded (`.s`
// sleepable, `.frags`), older names of the same.
bool is_another_spelling(const std::string& name) {
  static const std::set<std::string> older = {"classifier",       "tracepoint", "raw_tracepoint",
                                              "raw_tracepoint.w", "cgroup/skb", "cgroup/sock",
                                              "sk_skb",           "tc/ingress", "tc/egress"};
  return name.ends_with(".s") || name.ends_with(".frags") || name.ends_with(".frags/devmap") ||
         name.ends_with(".frags/cpumap") || older.contains(name);
}

}  // namespace

TEST_CASE("every attach point is a section name of libbpf, of the same types") {
  for (const AttachFamily& family : attach_families()) {
    const std::string section =
        std::string(family.name) + (family.target == Target::none ? "" : "/x");
    CAPTURE(section);
    bpf_prog_type type = BPF_PROG_TYPE_UNSPEC;
    bpf_attach_type attach = BPF_CGROUP_INET_INGRESS;
    REQUIRE(libbpf_prog_type_by_name(section.c_str(), &type, &attach) == 0);
    CHECK(static_cast<uint32_t>(type) == family.prog_type);
    CHECK(static_cast<uint32_t>(attach) == family.attach_type);
  }
}

TEST_CASE("every section name of libbpf is an attach point or another spelling of one") {
  const auto names = names_of_libbpf();
  CHECK(names.size() > 80);
  for (const std::string& name : names) {
    CAPTURE(name);
    CHECK((find_family(name).has_value() || is_another_spelling(name)));
  }
}

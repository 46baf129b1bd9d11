// What is said of bpfwarden's own programs, by `check` and `doctor`, is true of the built object.
#include <bpf/libbpf.h>

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <set>
#include <string>

#include "policy/lint/own_programs.h"

namespace bpfwarden::loader {
namespace {

struct CloseObject {
  void operator()(bpf_object* owned) const { bpf_object__close(owned); }
};

// As a policy names them: without what a section says about how its program runs.
std::set<std::string> attach_points_of(const char* file) {
  const std::unique_ptr<bpf_object, CloseObject> object(bpf_object__open(file));
  REQUIRE(object);
  std::set<std::string> found;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.get()) {
    std::string section = bpf_program__section_name(program);
    if (const size_t sleepable = section.find(".s/"); sleepable != std::string::npos)
      section.erase(sleepable, 2);
    // The guard's are attached before any policy could refuse them.
    if (section.starts_with("iter/") || section.starts_with("lsm_cgroup/")) continue;
    found.insert(section);
  }
  return found;
}

}  // namespace

TEST_CASE("bpfwarden's own attach points are those of the built kernel part") {
  const auto own = policy::own_attach_points();
  const std::set<std::string> listed(own.begin(), own.end());
  CHECK(listed.size() == own.size());
  CHECK(listed == attach_points_of(WARDEN_OBJECT));
}

}  // namespace bpfwarden::loader

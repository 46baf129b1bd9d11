#include "loader/bundles/program_attach.h"

#include <algorithm>

#include "policy/language/attach_point.h"

namespace bpfwarden::loader {

Result<policy::AttachPoint> attach_point_of(const keyring::ProgramEntry& program) {
  const auto families = policy::attach_families();
  const auto found = std::ranges::find_if(families, [&](const policy::AttachFamily& family) {
    return family.prog_type == program.prog_type &&
           family.attach_type == program.expected_attach_type;
  });
  if (found == families.end())
    return fail(
        "program " + program.name + " is for an attach point that is not known: " + program.section,
        "use a bpfwarden as new as the libbpf that made the object");
  policy::AttachPoint point = {static_cast<size_t>(found - families.begin()), {}, {}};
  const size_t slash = program.section.find('/');
  if (found->target != policy::Target::none && slash != std::string::npos)
    point.target = program.section.substr(slash + 1);
  return point;
}

}  // namespace bpfwarden::loader

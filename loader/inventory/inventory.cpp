#include "loader/inventory/inventory.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/fd.h"
#include "bpf-lsm/decide.h"
#include "loader/host/mounts.h"
#include "loader/inventory/kernel_lists.h"
#include "loader/inventory/link_target.h"
#include "loader/inventory/places.h"
#include "loader/inventory/sighted_cgroup.h"
#include "loader/inventory/sighted_file.h"
#include "loader/inventory/sighted_map.h"
#include "loader/inventory/sighted_net.h"
#include "loader/kernel/hooks.h"
#include "loader/policies/active_policy.h"
#include "loader/text/kernel_text.h"
#include "loader/text/systemd_unit.h"
#include "policy/language/attach_point.h"

namespace bpfwarden::loader {
namespace {

using Programs = std::map<uint32_t, ListedProgram>;

std::string attach_of(const bw_listed_program& listed) {
  const char* name = reinterpret_cast<const char*>(listed.attach_name);
  return policy::describe_attach_point(listed.prog_type, listed.attach_type,
                                       std::string(name, ::strnlen(name, BW_NAME_SIZE)));
}

Standing standing_of(const ListedProgram& program, const std::optional<ActivePolicy>& active,
                     const std::vector<uint32_t>& own) {
  const bw_listed_program& listed = program.listed;
  if (std::ranges::find(own, listed.id) != own.end()) return Standing::own;
  if ((listed.flags & BW_LISTED_ADMITTED) != 0)
    return program.admitted.decision.allow != 0 ? Standing::admitted : Standing::would_deny;
  if (!active || listed.load_time_ns <= active->word.attached_ns) return Standing::resident;
  return Standing::unexplained;
}

// As `apply` has noted them: who pins a link beside ours makes its program none of ours.
Result<std::vector<uint32_t>> own_programs(const std::optional<ActivePolicy>& active) {
  if (!active) return std::vector<uint32_t>();
  auto hooks = read_hooks(active->pins);
  if (!hooks) return std::unexpected(std::move(hooks).error());
  return std::move(hooks->programs);
}

std::vector<Sighting> find_places(const KernelLists& lists, const CgroupPaths& cgroups,
                                  std::vector<Error>* missed) {
  std::vector<Sighting> places;
  for (Sightings& list : std::to_array({sightings_on_networks(), sightings_on_cgroups(cgroups),
                                        sightings_on_maps(), sightings_on_files(lists.holders)})) {
    std::ranges::move(list.found, std::back_inserter(places));
    if (missed != nullptr) std::ranges::move(list.missed, std::back_inserter(*missed));
  }
  return places;
}

void add_attachments(const KernelLists& lists, Programs& programs, std::vector<Error>* missed) {
  const CgroupPaths cgroups = read_cgroups();
  std::vector<HeldByLink> links;
  for (const bw_listed_link& link : lists.links) {
    const auto found = programs.find(link.program_id);
    const uint32_t type = found != programs.end() ? found->second.listed.prog_type : 0;
    auto target = read_link_target(link, type, cgroups);
    if (target) links.push_back({link.id, link.program_id, std::move(*target)});
  }  // a link without a target went away in between
  for (auto& [id, attachment] : join(std::move(links), find_places(lists, cgroups, missed))) {
    const auto found = programs.find(id);
    if (found == programs.end()) continue;
    if (attachment.attach.empty() || attachment.attach.starts_with('@'))
      attachment.attach.insert(0, found->second.attach);
    found->second.attachments.push_back(std::move(attachment));
  }
}

std::string unit_of_process(uint32_t pid) {
  std::ifstream groups("/proc/" + std::to_string(pid) + "/cgroup");
  for (std::string line; std::getline(groups, line);)
    if (line.starts_with("0::")) return unit_of_cgroup(line.substr(3));
  return {};
}

void add_holders(const std::vector<bw_listed_holder>& holders, Programs& programs) {
  for (const bw_listed_holder& holder : holders) {
    const auto found = programs.find(holder.program_id);
    if (found == programs.end() || holder.tgid == static_cast<uint32_t>(::getpid())) continue;
    std::vector<Holder>& known = found->second.holders;
    if (std::ranges::find(known, holder.tgid, &Holder::pid) == known.end())
      known.push_back({holder.tgid, kernel_text(holder.comm, sizeof(holder.comm)),
                       unit_of_process(holder.tgid)});
  }
}

// Of what the kernel keeps of it; a name that is not known may be any.
bw_facts facts_of_resident(const bw_listed_program& listed) {
  bw_facts facts = {};
  facts.prog_type = listed.prog_type;
  facts.attach_type = listed.attach_type;
  facts.origin = BW_ORIGIN_USER;
  facts.time = std::time(nullptr);
  facts.traits[BW_TRAIT_SLEEPABLE] = (listed.flags & BW_LISTED_SLEEPABLE) != 0;
  facts.traits[BW_TRAIT_GPL_COMPATIBLE] = (listed.flags & BW_LISTED_GPL_COMPATIBLE) != 0;
  const auto set = [](bw_name& name, const void* bytes, size_t size) {
    if (size == 0 || size >= BW_NAME_SIZE) return;
    std::memcpy(name.bytes, bytes, size);
    name.length = static_cast<uint8_t>(size);
    name.known = 1;
  };
  const char* target = reinterpret_cast<const char*>(listed.attach_name);
  set(facts.names[BW_NAME_TARGET], target, ::strnlen(target, sizeof(listed.attach_name)));
  set(facts.names[BW_NAME_UID], &listed.uid, sizeof(listed.uid));
  if ((listed.flags & BW_LISTED_DIGEST) != 0)
    set(facts.names[BW_NAME_DIGEST], listed.digest, BW_DIGEST_SIZE);
  return facts;
}

bool would_deny(const bw_image& image, const bw_listed_program& listed) {
  bw_facts facts = facts_of_resident(listed);
  return bw_decide(&image, &facts).allow == 0;
}

// 0 for what is no program and no link with one.
uint32_t program_of_pin(const std::filesystem::path& path) {
  const Fd object(bpf_obj_get(path.c_str()));
  if (!object) return 0;
  std::error_code error;
  const std::string kind =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(object.get()), error);
  if (kind == "anon_inode:bpf-prog") {
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    return bpf_prog_get_info_by_fd(object.get(), &info, &size) == 0 ? info.id : 0;
  }
  bpf_link_info info = {};
  uint32_t size = sizeof(info);
  const bool is_link = kind.starts_with("anon_inode:bpf_link") || kind == "anon_inode:bpf-link";
  return is_link && bpf_link_get_info_by_fd(object.get(), &info, &size) == 0 ? info.prog_id : 0;
}

void add_pins(Programs& programs) {
  std::error_code error;
  for (const std::string& folder : mounted("bpf"))
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) {
      if (!entry.is_regular_file(error)) continue;
      const auto found = programs.find(program_of_pin(entry.path()));
      if (found != programs.end()) found->second.pins.push_back(entry.path());
    }
}

}  // namespace

const char* standing_name(Standing standing) {
  switch (standing) {
    case Standing::admitted:
      return "admitted";
    case Standing::would_deny:
      return "would be denied";
    case Standing::resident:
      return "resident";
    case Standing::own:
      return "bpfwarden";
    case Standing::unexplained:
      break;
  }
  return "UNEXPLAINED";
}

Result<std::map<Standing, uint64_t>> count_standings() {
  auto active = read_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  std::map<Standing, uint64_t> counts;
  if (!*active) return counts;
  const auto records = read_program_list();
  if (!records) return std::unexpected(records.error());
  const auto own = own_programs(*active);
  if (!own) return std::unexpected(own.error());
  for (const bw_listed_program_record& record : *records)
    counts[standing_of({.listed = record.listed, .admitted = record.admitted}, *active, *own)]++;
  return counts;
}

Result<Residents> count_residents() {
  auto active = read_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  Residents residents;
  if (!*active) return residents;
  const auto records = read_program_list();
  if (!records) return std::unexpected(records.error());
  const auto own = own_programs(*active);
  if (!own) return std::unexpected(own.error());
  for (const bw_listed_program_record& record : *records) {
    const ListedProgram program = {.listed = record.listed, .admitted = record.admitted};
    if (standing_of(program, *active, *own) != Standing::resident) continue;
    residents.count++;
    if (would_deny(*(*active)->generation.image, record.listed)) residents.would_deny++;
  }
  return residents;
}

Result<std::vector<ListedProgram>> read_inventory(std::vector<Error>* missed) {
  auto active = read_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  const auto lists = read_kernel_lists();
  if (!lists) return std::unexpected(lists.error());
  auto own = own_programs(*active);
  if (!own) return std::unexpected(std::move(own).error());
  own->insert(own->end(), lists->momentary.begin(), lists->momentary.end());
  Programs programs;
  for (const bw_listed_program_record& record : lists->programs) {
    ListedProgram& program = programs[record.listed.id];
    program.listed = record.listed;
    program.admitted = record.admitted;
    program.standing = standing_of(program, *active, *own);
    program.attach = attach_of(record.listed);
  }
  add_attachments(*lists, programs, missed);
  add_holders(lists->holders, programs);
  add_pins(programs);
  std::vector<ListedProgram> sorted;
  for (auto& [id, program] : programs) sorted.push_back(std::move(program));
  return sorted;
}

}  // namespace bpfwarden::loader

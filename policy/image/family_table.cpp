#include "policy/image/family_table.h"

#include <string>
#include <utility>

#include "policy/language/attach_point.h"

namespace bpfwarden::policy {
namespace {

uint8_t entry_of(std::string_view family) { return static_cast<uint8_t>(*find_family(family) + 1); }

// Only what an attachment can be told by: where a class has one family, whatever the attach type.
void write_attach_types(bw_image& image) {
  const auto families = attach_families();
  for (size_t i = 0; i < families.size(); i++) {
    const AttachFamily& family = families[i];
    if (family.scope == Scope::always) continue;  // a probe
    uint8_t& entry = image.family_of[family.prog_type][family.attach_type];
    if (entry == 0) entry = static_cast<uint8_t>(i + 1);
  }
  for (uint32_t prog_type = 0; prog_type < BW_PROG_TYPES; prog_type++)
    for (uint32_t attach_type = 0; attach_type < BW_ATTACH_TYPES; attach_type++) {
      const FamilySet& home = load_classes()[load_class_of(prog_type, attach_type)].home;
      uint8_t& entry = image.family_of[prog_type][attach_type];
      for (size_t i = 0; entry == 0 && home.count() == 1 && i < families.size(); i++)
        if (home.test(i)) entry = static_cast<uint8_t>(i + 1);
    }
}

void write_probe(bw_image& image, bw_probe_kind kind, std::string_view entry,
                 std::string_view on_return) {
  image.family_of_probe[kind][0] = entry_of(entry);
  image.family_of_probe[kind][1] = entry_of(on_return);
}

void write_probes(bw_image& image) {
  write_probe(image, BW_PROBE_KPROBE, "kprobe", "kretprobe");
  write_probe(image, BW_PROBE_UPROBE, "uprobe", "uretprobe");
  write_probe(image, BW_PROBE_KPROBE_MULTI, "kprobe.multi", "kretprobe.multi");
  write_probe(image, BW_PROBE_UPROBE_MULTI, "uprobe.multi", "uretprobe.multi");
  write_probe(image, BW_PROBE_KPROBE_SESSION, "kprobe.session", "kprobe.session");
  write_probe(image, BW_PROBE_UPROBE_SESSION, "uprobe.session", "uprobe.session");
}

// What the function of a system call is called begins so: arch/*/include/asm/syscall_wrapper.h.
// Those of all architectures are in every image, for it may be signed for hosts of each. No kernel
// has those of another.
struct CallPrefix {
  std::string_view text;
  bool is_probed = false;  // libbpf puts its probe there
};
constexpr CallPrefix kCallPrefixes[] = {
    {"__x64_sys_", true},    {"__arm64_sys_", true}, {"__se_sys_"},
    {"__do_sys_"},           {"__ia32_sys_"},        {"__ia32_compat_sys_"},
    {"__arm64_compat_sys_"}, {"__se_compat_sys_"},   {"__do_compat_sys_"}};

constexpr std::string_view kProbedHere =
#ifdef __aarch64__
    "__arm64_sys_";
#else
    "__x64_sys_";
#endif

std::vector<SeenAs> functions_of_call(size_t family, const TextMatch& target, Action action) {
  std::vector<SeenAs> functions;
  for (const auto& [prefix, is_probed] : kCallPrefixes) {
    if (action == Action::allow && !is_probed) continue;
    std::string function = std::string(prefix) + target.text;
    if (function.size() >= BW_NAME_SIZE) continue;  // no system call has such a name
    const auto match = target.match == TargetMatch::all ? TargetMatch::prefix : target.match;
    functions.push_back({family, {match, std::move(function)}});
  }
  return functions;
}

bool is_call(std::string_view family) { return family == "ksyscall" || family == "kretsyscall"; }

size_t probe_of_call(std::string_view family) {
  return *find_family(family == "ksyscall" ? "kprobe" : "kretprobe");
}

}  // namespace

void write_families(bw_image& image) {
  write_attach_types(image);
  write_probes(image);
}

std::vector<SeenAs> seen_as(size_t family, const TextMatch& target, Action action) {
  const std::string_view name = attach_families()[family].name;
  bool is_any = target.match == TargetMatch::all;
  if (is_call(name)) return functions_of_call(probe_of_call(name), target, action);
  if (name != "usdt" || (!is_any && action == Action::allow)) return {};
  const size_t colon = target.text.find(':');
  const std::string file =
      colon == std::string::npos ? target.text : target.text.substr(0, colon + 1);
  is_any |= file.empty();
  const TextMatch in_file = {is_any ? TargetMatch::all : TargetMatch::prefix, file};
  return {{*find_family("uprobe"), in_file}, {*find_family("uprobe.multi"), in_file}};
}

bool is_seen_as_another(size_t family) {
  const std::string_view name = attach_families()[family].name;
  return is_call(name) || name == "usdt";
}

std::vector<AttachPoint> as_seen(AttachPoint attach) {
  const std::string_view name = attach_families()[attach.family].name;
  if (!is_seen_as_another(attach.family)) return {std::move(attach)};
  const bool is_known = attach.target != kUnknownTarget;
  if (is_call(name)) {
    attach.family = probe_of_call(name);
    if (is_known) attach.target.insert(0, kProbedHere);
    return {std::move(attach)};
  }
  if (is_known)
    attach.target =
        attach.target.substr(0, attach.target.find(':')).append(":").append(kUnknownOffset);
  return {{*find_family("uprobe"), attach.target, {}},
          {*find_family("uprobe.multi"), attach.target, {}}};
}

}  // namespace bpfwarden::policy

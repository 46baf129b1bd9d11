#include "loader/host/other_refusals.h"

#include <bpf/bpf.h>
#include <linux/capability.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/fd.h"
#include "loader/host/lockdown.h"
#include "loader/text/kernel_text.h"

namespace bpfwarden::loader {
namespace {

using std::string;

string first_line_of(const string& file) {
  std::ifstream lines(file);
  string line;
  std::getline(lines, line);
  while (!line.empty() && line.back() == '\0') line.pop_back();
  return line;
}

std::vector<string> lsm_programs_of_others(std::span<const uint32_t> own) {
  std::vector<string> found;
  for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const Fd program(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    if (!program || bpf_prog_get_info_by_fd(program.get(), &info, &size) != 0) continue;
    if (info.type == BPF_PROG_TYPE_LSM && std::ranges::find(own, id) == own.end())
      found.push_back("id " + std::to_string(id) + " '" +
                      kernel_text(info.name, sizeof(info.name)) + "'");
  }
  return found;
}

bool has(const ProcessLimits& process, int capability) {
  return ((process.capabilities >> capability) & 1) != 0;
}

bool may_load(const ProcessLimits& process) {
  return !process.in_own_user_namespace && (has(process, CAP_BPF) || has(process, CAP_SYS_ADMIN));
}

string named(const ProcessLimits& process) {
  return process.name + " (pid " + std::to_string(process.pid) + ")";
}

void look_at_lockdown(const HostLimits& host, OtherRefusals& found) {
  if (forbids_kernel_reads(host.lockdown))
    found.possible.emplace_back(
        "lockdown is at confidentiality: programs that read kernel memory, kprobes and tracing by "
        "perf get EPERM, from whomever; `dmesg` says \"Lockdown: ... is restricted\"");
  else if (host.lockdown.find("[integrity]") != string::npos)
    found.possible.emplace_back(
        "lockdown is at integrity: programs that write to the memory of processes "
        "(bpf_probe_write_user) get EPERM, from whomever");
  else
    found.excluded.emplace_back(host.lockdown.empty() ? "lockdown: this kernel has none"
                                                      : "lockdown: none");
}

void look_at_capabilities(const HostLimits& host, const ProcessLimits* process,
                          OtherRefusals& found) {
  const int disabled = host.unprivileged_bpf.value_or(0);
  const string setting = "kernel.unprivileged_bpf_disabled is " + std::to_string(disabled);
  if (process == nullptr) {
    found.possible.push_back(
        "a capability that the loader lacks: " +
        (disabled != 0 ? setting + ", so loading without CAP_BPF gets EPERM"
                       : "all but socket filters and cgroup_skb asks for CAP_BPF") +
        "; tracing asks for CAP_PERFMON, networks for CAP_NET_ADMIN. `bpfwarden why --pid PID` "
        "looks at one process");
    return;
  }
  if (process->in_own_user_namespace)
    found.possible.push_back(named(*process) +
                             " is in a user namespace of its own (a container without root): its "
                             "capabilities count for nothing with bpf(2), but for a BPF token");
  else if (!may_load(*process))
    found.possible.push_back(named(*process) + " has neither CAP_BPF nor CAP_SYS_ADMIN; " +
                             setting);
  else if (!has(*process, CAP_SYS_ADMIN) && !has(*process, CAP_PERFMON))
    found.possible.push_back(named(*process) +
                             " has no CAP_PERFMON, which tracing programs ask for");
  else if (!has(*process, CAP_SYS_ADMIN) && !has(*process, CAP_NET_ADMIN))
    found.possible.push_back(named(*process) +
                             " has no CAP_NET_ADMIN, which programs of networks ask for");
  else
    found.excluded.push_back("capabilities: " + named(*process) +
                             " has those that bpf(2) asks for");
}

void look_at_seccomp(const ProcessLimits* process, OtherRefusals& found) {
  constexpr int filters = 2;
  if (process == nullptr)
    found.possible.emplace_back(
        "seccomp: a container, or SystemCallFilter= of a unit, without bpf(2)");
  else if (process->seccomp == filters)
    found.possible.push_back("seccomp: " + named(*process) +
                             " runs under filters, which may answer EPERM for bpf(2) and "
                             "perf_event_open(2)");
  else
    found.excluded.push_back("seccomp: " + named(*process) + " has no filter");
}

void look_at_lsms(const HostLimits& host, const ProcessLimits* process, OtherRefusals& found) {
  static constexpr auto judges = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"selinux", "SELinux judges bpf(2) (class `bpf`): `ausearch -m avc -ts recent`"},
      {"apparmor",
       "AppArmor judges the capabilities of profiles (`capability bpf`): `journalctl "
       "-k -g apparmor=.DENIED`"},
      {"smack", "Smack judges what processes may do to each other: `journalctl -k -g lsm=SMACK`"},
  });
  const string list = "," + host.lsms + ",";
  bool is_any = false;
  for (const auto& [name, text] : judges) {
    if (list.find("," + string(name) + ",") == string::npos) continue;
    is_any = true;
    const bool is_bound = process != nullptr && !process->label.empty();
    const bool is_free =
        process != nullptr && (process->label.empty() || process->label == "unconfined");
    (is_free ? found.excluded : found.possible)
        .push_back(string(text) + (is_bound ? "; it has the label " + process->label : "") +
                   (is_free && !is_bound ? "; the process has no label" : ""));
  }
  if (!is_any) found.excluded.push_back("other LSMs: none that judges bpf(2) in " + host.lsms);
  if (host.programs.empty()) {
    found.excluded.emplace_back("LSM programs of others: none");
    return;
  }
  string programs;
  for (const string& program : host.programs) programs += (programs.empty() ? "" : ", ") + program;
  found.possible.push_back("LSM programs of others are in the kernel: " + programs +
                           "; `bpftool prog show id ID` says more");
}

void read_status_line(const string& line, ProcessLimits& process) {
  const auto value = [&line](std::string_view name) -> std::string_view {
    if (!line.starts_with(name)) return {};
    const std::string_view rest = std::string_view(line).substr(name.size());
    return rest.substr(std::min(rest.find_first_not_of(" \t"), rest.size()));
  };
  if (const auto name = value("Name:"); !name.empty()) process.name = name;
  if (const auto bits = value("CapEff:"); !bits.empty())
    std::from_chars(bits.data(), bits.data() + bits.size(), process.capabilities, 16);
  if (const auto mode = value("Seccomp:"); !mode.empty())
    std::from_chars(mode.data(), mode.data() + mode.size(), process.seccomp);
}

// The file that all LSMs share is answered by the first of them (security_getprocattr()): where
// that is BPF's, which has no label, by EINVAL.
string label_in(const string& folder) {
  for (const char* of : {"current", "apparmor/current", "smack/current"})
    if (string label = first_line_of(folder + of); !label.empty()) return label;
  return "";
}

}  // namespace

HostLimits read_host_limits(std::span<const uint32_t> own) {
  HostLimits host = {.lockdown = lockdown_modes(),
                     .unprivileged_bpf = std::nullopt,
                     .lsms = first_line_of("/sys/kernel/security/lsm"),
                     .programs = lsm_programs_of_others(own)};
  const string disabled = first_line_of("/proc/sys/kernel/unprivileged_bpf_disabled");
  if (int number = 0;
      std::from_chars(disabled.data(), disabled.data() + disabled.size(), number).ec == std::errc())
    host.unprivileged_bpf = number;
  return host;
}

Result<ProcessLimits> read_process_limits(pid_t pid) {
  const string folder = "/proc/" + std::to_string(pid);
  std::ifstream status(folder + "/status");
  if (!status)
    return fail("there is no process " + std::to_string(pid),
                "the capabilities of one that has ended are known to nobody");
  ProcessLimits process = {.pid = pid};
  for (string line; std::getline(status, line);) read_status_line(line, process);
  process.label = label_in(folder + "/attr/");
  std::error_code error;
  const auto own = std::filesystem::read_symlink(folder + "/ns/user", error);
  const auto first = std::filesystem::read_symlink("/proc/1/ns/user", error);
  process.in_own_user_namespace = !error && own != first;
  return process;
}

OtherRefusals other_refusals(const HostLimits& host, const ProcessLimits* process) {
  OtherRefusals found;
  if (!host.keyrings.empty()) found.possible.push_back(host.keyrings);
  look_at_lockdown(host, found);
  look_at_capabilities(host, process, found);
  look_at_seccomp(process, found);
  look_at_lsms(host, process, found);
  return found;
}

}  // namespace bpfwarden::loader

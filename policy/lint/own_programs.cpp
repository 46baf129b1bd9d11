#include "policy/lint/own_programs.h"

#include <array>

namespace bpfwarden::policy {

std::span<const std::string_view> own_attach_points() {
  static constexpr auto points = std::to_array<std::string_view>({
      "lsm/bpf",
      "lsm/bpf_prog_load",
      "lsm/bpf_prog",
      "lsm/bpf_map",
      "lsm/bpf_map_create",
      "lsm/bpf_map_free",
      "lsm/inode_unlink",
      "lsm/inode_rename",
      "fentry/bpf_link_new_fd",
      "lsm/file_receive",
      "lsm/ptrace_access_check",
      "lsm/bpf_token_create",
      "lsm/key_permission",
      "lsm/bpf_prog_free",
      "fentry/bpf_prog_test_run_syscall",
      "fexit/bpf_prog_test_run_syscall",
      "fexit/verify_signature",
      "fexit/pkcs7_validate_trust",
      "fexit/bpf_prog_load",
      "lsm/sb_delete",
      "lsm/locked_down",
      "lsm/kernel_load_data",
      "lsm/kernel_read_file",
      "lsm/file_open",
      "lsm/file_ioctl",
      "lsm/file_ioctl_compat",
      "lsm/socket_setsockopt",
      "lsm/netlink_send",
      "fexit/__bpf_prog_get",
      "fexit/bpf_prog_get",
      "fexit/bpf_prog_get_type_dev",
      "fexit/bpf_prog_get_type_path",
      "fexit/bpf_map_get",
      "fexit/cgroup_get_from_fd",
      "fexit/perf_event_get",
      "fexit/bpf_link_get_from_fd",
      "fentry/bpf_link_settle",
      "fentry/tracepoint_probe_register_prio_may_exist",
      "fexit/netif_change_name",
      "fexit/__dev_change_net_namespace",
      "fexit/dev_xdp_propagate",
      "fexit/tcf_block_get_ext",
      "fexit/tcf_idr_check_alloc",
  });
  return points;
}

}  // namespace bpfwarden::policy

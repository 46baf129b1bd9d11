# Which kernel's source is used, and the BTF of the kernel that guests boot. Sourced by setup and peers.
# shellcheck shell=bash disable=SC2154  # shares variables with scripts/setup

# The kernel series the guest boots unless told otherwise, and the kernel source that libbpf and
# bpftool come from.
default_series=7.3
source_series=7.3

# The kernel source of $source_series, or the newest once Debian has dropped that.
source_package() {
  private_apt cache pkgnames linux-source- | grep -E '^linux-source-[0-9]+\.[0-9]+$' | sort -V |
    awk -v want="linux-source-$source_series" '$0 == want { print; found = 1; exit } { last = $0 }
      END { if (!found) print last }'
}

# bpftool's own BPF programs want a kernel's BTF. The guest kernel's is used: the
# machine's may be absent, and the result should not depend on the machine.
guest_btf() {
  local out=$deps/scratch/vmlinux
  bash "$1/scripts/extract-vmlinux" "$kernels/$default_series/vmlinuz" >"$out.new" 2>/dev/null &&
    mv "$out.new" "$out" || out=/sys/kernel/btf/vmlinux
  printf '%s\n' "$out"
}

# What a build for arm64 on amd64 needs, under build/deps/arm64: a tree of Debian's libraries and
# headers, as old as this machine's, libbpf, Catch2, and the kernels that its guests boot.
# Sourced by setup.
# shellcheck shell=bash disable=SC2034,SC2154  # shares variables with scripts/setup

arm64_packages=(g++-aarch64-linux-gnu qemu-system-arm qemu-user)
arm64_series=(7.3 6.12)

# What bpfwarden is built with, and what a guest has in it (tests/vm/guest/initramfs.sh).
sysroot_packages() {
  printf '%s\n' libc6-dev libstdc++6 libssl-dev libelf-dev zlib1g-dev libkeyutils-dev libmnl-dev libsystemd-dev \
    libtomlplusplus-dev libcli11-dev nlohmann-json3-dev linux-libc-dev \
    bash keyutils openssl iproute2 busybox-static systemd softhsm2 libengine-pkcs11-openssl
}

# Absolute ones would lead out of the tree.
relative_links() { # TREE
  local link
  while IFS= read -r link; do
    ln -sfnr "$1$(readlink "$link")" "$link"
  done < <(find "$1" -type l -lname '/*')
}

build_sysroot() {
  local packages
  say "making a Debian tree for arm64"
  mapfile -t packages < <(sysroot_packages)
  download_closure sysroot "${packages[@]}"
  unpack_all sysroot "$deps/scratch/sysroot"
  relative_links "$deps/scratch/sysroot"
  rm -rf "$deps/sysroot"
  mv "$deps/scratch/sysroot" "$deps/sysroot"
  rm -rf "${downloads:?}/sysroot"
  say "Debian for arm64 in build/deps/arm64/sysroot ($(size_of "$deps/sysroot"))"
}

build_for_arm64() { # TREE BTF
  local variables=(ARCH=arm64 CROSS_COMPILE="$cross" EXTRA_CFLAGS="--sysroot=$deps/sysroot"
    EXTRA_LDFLAGS="--sysroot=$deps/sysroot")
  # Of this architecture the source of the tools has not all that they include.
  install -D -m 644 "$deps/sysroot/usr/include/aarch64-linux-gnu/asm/bpf_perf_event.h" \
    "$1/tools/arch/arm64/include/uapi/asm/bpf_perf_event.h"
  build_libbpf "$1" "${variables[@]}"
  build_bpftool "$1" "$2" "${variables[@]}"
  rm -rf "$deps"/scratch/{libbpf,bpftool}
}

setup_arm64() {
  local tree=$deps/scratch/source header=$prefix/include/httplib.h tools=$deps inputs btf
  use_folder "$deps/arm64"
  architecture=arm64 cross=aarch64-linux-gnu- emulator=(qemu-aarch64 -L "$deps/sysroot")
  # shellcheck disable=SC1091
  default_suite=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
  [[ " ${suites[*]} " == *" $default_suite "* ]] || suites=("$default_suite" "${suites[@]}")
  mkdir -p "$deps"
  inputs=$(inputs_of sysroot_packages build_sysroot relative_links unpack_all)
  if ! { [[ -d $deps/sysroot ]] && stamped sysroot "$inputs"; }; then
    build_sysroot
    stamp sysroot "$inputs"
  fi
  inputs=$(inputs_of build_catch2 publish)
  if ! { [[ -f $prefix/include/catch2/catch_all.hpp ]] && stamped catch2 "$inputs"; }; then
    build_catch2
    stamp catch2 "$inputs"
  fi
  install -D -m 644 -p "$header" "$prefix/include/httplib.h"
  inputs=$(inputs_of build_for_arm64 build_libbpf build_bpftool publish)$source_series
  if ! { [[ -f $prefix/lib/libbpf.a && -f $prefix/sbin/bpftool ]] && stamped bpf "$inputs"; }; then
    # Of the other architecture's kernel: its own is no ELF file, and any serves.
    btf=$(kernels=$tools/kernels guest_btf "$tree")
    build_for_arm64 "$tree" "$btf"
    stamp bpf "$inputs"
    rm -f "$btf"
  fi
  setup_kernels "${arm64_series[@]}"
}

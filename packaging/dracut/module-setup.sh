#!/bin/bash
# bpfwarden and the confirmed policy in the initramfs (packaging/initramfs-tools does the same for initramfs-tools).

check() {
  [[ -f ${dracutsysrootdir-}/var/lib/bpfwarden/policies/boot ]] && return 0
  return 255
}

depends() { echo bash; }

install() {
  local store=/var/lib/bpfwarden
  inst_binary /usr/bin/bpfwarden
  inst_dir "$store/policies"
  local file
  for file in "$store"/policies/*; do
    inst_simple "$file"
  done
  inst_hook pre-pivot 00 "$moddir/bpfwarden.sh"
  mkdir -p "$store/initramfs"
  cp "$store/policies/boot" "$store/initramfs/$kernel"
}

installkernel() { instmods ecdsa_generic rsa_generic; }

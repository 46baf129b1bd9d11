#!/bin/bash
# dracut: bpfwarden and the confirmed policy in the initramfs.

# Noted here, since without a policy nothing else of this module runs.
check() {
  . /usr/lib/bpfwarden/initramfs/copies
  [[ -z ${kernel-} ]] || note "$kernel"
  [[ -n $(saved_files) ]] || return 255
}

depends() { echo base; }

install() {
  local file
  . /usr/lib/bpfwarden/initramfs/copies
  inst_multiple mount
  inst_binary /usr/bin/bpfwarden
  inst_simple /usr/lib/bpfwarden/initramfs/activate
  for file in $(saved_files); do
    inst_simple "$file"
  done
  for file in $(enrolled_files "$initdir/usr/lib/bpfwarden/initramfs/enrol"); do
    inst_simple "$file"
  done
  inst_hook pre-pivot 00 "$moddir/pre-pivot.sh"
}

# What the keys of certificates may need, where it is no part of the kernel.
installkernel() { hostonly='' instmods ecdsa_generic rsa_generic; }

#!/bin/sh
# The policy decides from here on: nothing of the real root has run yet. The mounts go there with /sys.
grep -q ' /sys/kernel/security securityfs ' /proc/mounts || mount -t securityfs securityfs /sys/kernel/security
grep -q ' /sys/fs/bpf bpf ' /proc/mounts || mount -t bpf bpf /sys/fs/bpf -o mode=0700
/usr/bin/bpfwarden boot 2>&1 | while IFS= read -r line; do
  printf '<5>bpfwarden: %s\n' "$line" >/dev/kmsg
done

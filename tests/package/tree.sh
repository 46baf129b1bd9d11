# Trees of Debian releases, of its own packages, for tests that install into them. Sourced.
# shellcheck shell=bash disable=SC2034,SC2154  # shares variables with those who source it

scratch=$(mktemp -d)
tree=""

drop_tree() {
  [[ -z $tree ]] && return
  if mountpoint -q "$tree/proc"; then umount "$tree/proc"; fi
  rm -rf --one-file-system "$tree"
  tree=""
}
trap 'drop_tree; rm -rf "$scratch"' EXIT

in_tree() { DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 chroot "$tree" "$@"; }

# The mirror that scripts/setup has found.
mirror() { awk '$1 == "deb" { print $3; exit }' "$source/build/deps/apt/sources.list"; }

make_tree() { # SUITE [PACKAGE...]; what SUITE does not have comes from its backports
  local suite=$1 packages
  shift
  packages=$(IFS=, && echo "systemd,$*")
  tree=$scratch/$suite
  mmdebstrap --mode=root --variant=minbase --skip=check/empty --include="${packages%,}" "$suite" "$tree" \
    "deb $(mirror) $suite main" "deb $(mirror) $suite-backports main" >"$scratch/mmdebstrap" 2>&1 ||
    { cat "$scratch/mmdebstrap"; exit 1; }
  cp /etc/resolv.conf "$tree/etc/resolv.conf"
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d" && chmod +x "$tree/usr/sbin/policy-rc.d"
  mount -t proc proc "$tree/proc"
  in_tree apt-get update -qq
}

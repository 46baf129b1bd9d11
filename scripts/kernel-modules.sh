# Which modules of Debian's kernels are kept for guests, beside the kernel's image, in
# build/deps/kernels/RELEASE/modules: decompressed, with a modules.dep of their own.
# Sourced by setup.
# shellcheck shell=bash disable=SC2154  # shares variables with scripts/setup

# Network devices, tc, tables of packet filters, and block devices. A kernel that has one built in
# needs no module; newer ones have no ebtables.
kept_modules() {
  printf '%s\n' veth dummy vrf tun bonding bridge sch_ingress cls_bpf cls_flower cls_u32 act_bpf act_gact \
    null_blk virtio_blk xt_bpf nft_compat iptable_filter ebtable_filter
}

# The package that holds a release's modules: linux-modules-* from 6.19 on, else linux-image-*.
modules_package() {
  private_apt cache pkgnames "linux-modules-$1" | grep -qx "linux-modules-$1" &&
    printf 'linux-modules-%s' "$1" || printf 'linux-image-%s' "$1"
}

modules_inputs() { inputs_of kept_modules keep_modules module_files; }
has_modules() { [[ -f $kernels/$1/modules/modules.dep ]] && stamped "modules-$1" "$(modules_inputs)"; }

# module_files BASE RELEASE: the paths of the kept modules and of what they depend on.
module_files() {
  local name
  while IFS= read -r name; do
    modprobe --dirname "$1" --set-version "$2" --show-depends "$name" 2>/dev/null || true
  done < <(kept_modules) | sed -nE 's/^insmod ([^ ]+).*/\1/p' | sort -u
}

# keep_modules RELEASE TREE: TREE is the unpacked package.
keep_modules() {
  local release=$1 base=$2/usr scratch=$deps/scratch/modules file to
  local PATH=$PATH:/usr/sbin:/sbin # where users find depmod and modprobe
  logged depmod depmod --basedir "$base" "$release"
  rm -rf "$scratch"
  while IFS= read -r file; do
    to=$scratch/${file#"$base"/}
    mkdir -p "$(dirname "$to")"
    case $file in
      *.xz) xz -dc "$file" >"${to%.xz}" ;;
      *.zst) zstd -qdc "$file" >"${to%.zst}" ;;
      *) cp "$file" "$to" ;;
    esac
  done < <(module_files "$base" "$release")
  [[ -d $scratch ]] || fail "none of the modules for guests is in the package of $release" \
    "report this, naming the release"
  logged depmod depmod --basedir "$scratch" "$release"
  rm -rf "$kernels/$release/modules"
  mv "$scratch/lib/modules/$release" "$kernels/$release/modules"
  rm -rf "$scratch"
}

fetch_modules() {
  local release=$1 package deb scratch=$deps/scratch/kernel
  package=$(modules_package "$release")
  deb=$(fetch "$package")
  rm -rf "$scratch" && mkdir -p "$scratch"
  dpkg-deb -x "$deb" "$scratch"
  [[ -d $scratch/usr/lib/modules ]] || mv "$scratch/lib" "$scratch/usr/lib" # Debian 12's way
  keep_modules "$release" "$scratch"
  stamp "modules-$release" "$(modules_inputs)"
  say "modules of $release for guests ($(size_of "$kernels/$release/modules"))"
  rm -rf "$scratch" "${downloads:?}/$package"
}

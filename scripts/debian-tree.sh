# A Debian 13 file tree with the BPF tools that people use, for tests/vm/run --tree, and a
# Go compiler with cilium/ebpf, under build/deps/trixie. Nothing of it is installed on this
# machine, and no script of a package runs. Sourced by setup.
# shellcheck shell=bash disable=SC2154  # shares variables with scripts/setup

trixie=$deps/trixie

tree_packages() {
  # The last three lines: what a test script needs, what docs/signing.md does, and the libraries of
  # bpfwarden and bpftool.
  printf '%s\n' bpftrace libbpf-tools xdp-tools iproute2 iptables ply crun runc bpftune \
    bash coreutils sed grep gawk iputils-ping python3-minimal libpython3-stdlib \
    keyutils openssl softhsm2 libengine-pkcs11-openssl llvm-19 \
    libkeyutils1 libelf1t64 libssl3t64 libstdc++6 libmnl0 libsystemd0 zlib1g
}
# quicktest: of the tests of cilium/ebpf (scripts/peers).
go_packages() { printf '%s\n' golang-github-cilium-ebpf-dev golang-github-frankban-quicktest-dev golang-1.24-go; }

# download_closure FOLDER PACKAGE...: these and all that they depend on. apt verifies each
# file, and leaves alone those that are there from a run that was interrupted.
download_closure() {
  local folder=$downloads/$1 wanted
  shift
  mkdir -p "$folder"
  update_private_apt
  private_apt get install --print-uris -qq -y --no-install-recommends "$@" >"$folder/uris" ||
    fail "Debian 13 does not offer all of: $*" "remove $stamps/apt and run scripts/${0##*/} again"
  [[ -s $folder/uris ]] || fail "apt resolved nothing for: $*" "report this"
  mapfile -t wanted < <(sed -nE "s/^'[^']*' ([^_]+)_.*/\1/p" "$folder/uris")
  (cd "$folder" && private_apt get download -q "${wanted[@]}" 2>&1 | tail -n 1) ||
    fail "the packages could not be downloaded" "check the network, then run scripts/${0##*/} again: it resumes here"
}

unpack_all() { # FOLDER TREE
  local name
  rm -rf "$2"
  # Links into /usr since Debian 12. base-files has them, which nothing depends on.
  for name in bin sbin lib lib64; do
    mkdir -p "$2/usr/$name"
    ln -s "usr/$name" "$2/$name"
  done
  # Only those named: an interrupted run may have left others, of older versions.
  while IFS= read -r name; do
    dpkg-deb -x "$downloads/$1/$name" "$2"
  done < <(sed -nE "s/^'[^']*' ([^ ]+) .*/\1/p" "$downloads/$1/uris")
}

# What no test reads; the places where tests/vm/run mounts the guest's own.
finish_tools() { # TREE
  rm -rf "$1"/usr/share/{doc,man,locale,info,lintian,zoneinfo,bash-completion} \
    "$1"/usr/lib/x86_64-linux-gnu/{gconv,perl-base} "$1"/usr/include "${1:?}"/var "$1"/usr/local/*
  find "$1/usr/lib/llvm-19/bin" -type f ! -name llvm-objdump -delete
  find "$1/usr/lib/python3.13" -name '__pycache__' -prune -exec rm -rf {} +
  mkdir -p "$1"/{proc,sys,dev,tmp,run,root,job,opt,var,etc,usr/local}
  ln -sf bash "$1/usr/bin/sh"
  printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/sh\n' >"$1/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
  printf '127.0.0.1 localhost\n' >"$1/etc/hosts"
  # By ldconfig of this machine: the format is the same, and no program of the tree runs here.
  PATH=$PATH:/usr/sbin:/sbin ldconfig -r "$1"
}

build_tools() {
  local tree=$deps/scratch/trixie-tools image=$trixie/tools.ext4 megabytes packages
  say "making the Debian 13 tree for guests"
  mapfile -t packages < <(tree_packages)
  download_closure trixie-tools "${packages[@]}"
  unpack_all trixie-tools "$tree"
  finish_tools "$tree"
  megabytes=$(($(du -sm "$tree" | cut -f1) * 11 / 10 + 16))
  mkdir -p "$trixie"
  rm -f "$image.new"
  PATH=$PATH:/usr/sbin:/sbin logged mke2fs mke2fs -q -t ext4 -O ^has_journal -m 0 \
    -E root_owner=0:0 -d "$tree" "$image.new" "${megabytes}M"
  mv "$image.new" "$image"
  rm -rf "$tree" "${downloads:?}/trixie-tools"
  say "Debian 13 tools in build/deps/trixie/tools.ext4 ($(size_of "$image"))"
}

build_go() {
  local tree=$deps/scratch/trixie-go packages
  mapfile -t packages < <(go_packages)
  download_closure trixie-go "${packages[@]}"
  unpack_all trixie-go "$tree"
  rm -rf "$tree"/usr/share/{doc,lintian,go-1.24/test}
  mkdir -p "$trixie"
  rm -rf "$trixie/go"
  mv "$tree" "$trixie/go"
  rm -rf "${downloads:?}/trixie-go"
  say "Go and cilium/ebpf in build/deps/trixie/go ($(size_of "$trixie/go"))"
}

setup_debian_tree() {
  local tools go
  tools=$(inputs_of build_tools tree_packages unpack_all finish_tools)
  go=$(inputs_of build_go go_packages unpack_all)
  if ! { [[ -f $trixie/tools.ext4 ]] && stamped trixie-tools "$tools"; }; then
    build_tools
    stamp trixie-tools "$tools"
  fi
  if ! { [[ -d $trixie/go ]] && stamped trixie-go "$go"; }; then
    build_go
    stamp trixie-go "$go"
  fi
}

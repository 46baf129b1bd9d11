# What tests need that run in a guest with the tools of Debian 13. Sourced; $root and $build are set.
# shellcheck shell=bash disable=SC2154,SC2034

trixie=$root/build/deps/trixie

need_debian_tree() {
  [[ -f $trixie/tools.ext4 && -d $trixie/go ]] && return
  printf 'there is no Debian 13 tree\nwhat to do: scripts/setup --tools\n' >&2
  exit 1
}

# Debian's compiler, and Debian's cilium/ebpf: nothing comes from the network.
debians_go() { # ARGUMENT...
  local go=$trixie/go/usr
  env -u GOFLAGS GOROOT="$go/lib/go-1.24" GOPATH="$go/share/gocode" GO111MODULE=off CGO_ENABLED=0 GOENV=off \
    GOTOOLCHAIN=local GOPROXY=off GOCACHE="$root/build/go-cache" "$go/lib/go-1.24/bin/go" "$@"
}
build_go() { debians_go build -trimpath -o "$1" "$2"; } # FILE SOURCE
build_go_tests() { debians_go test -c -trimpath -o "$1" "$2"; } # FILE PACKAGE
build_go_loader() { build_go "$1" "$root/tests/vm/realtools/goloader.go"; } # FILE
build_hello() { gcc -static -o "$1" "$root/tests/vm/realtools/hello.c"; }    # FILE

# Options of tests/vm/run: bpfwarden in that tree, with the libraries of which Debian 13 has another
# version than the machine that linked it may have.
tree_options() {
  local library
  tree_options=(--tree "$trixie/tools.ext4" --env LD_LIBRARY_PATH=/usr/local/lib --env PYTHONDONTWRITEBYTECODE=1
    --bin "$build/loader/bpfwarden" --bin "$root/build/deps/prefix/usr/sbin/bpftool")
  while IFS= read -r library; do
    tree_options+=(--file "$library:/usr/local/lib/$(basename "$library")")
  done < <(ldd "$build/loader/bpfwarden" | sed -nE 's/.* (\/[^ ]*lib(cpp-httplib|brotli)[^ ]*) .*/\1/p')
}

# Builds the guest's initramfs: a base archive made once, and a small one for the
# run. Linux unpacks cpio archives that are simply joined. Neither is compressed:
# under emulation copying is quicker than decompressing. Sourced by run.
# shellcheck shell=bash disable=SC2154  # the variables of tests/vm/run

base_programs=(bash keyctl openssl ip tc)

# Where the guest's programs and libraries come from: this machine, or a tree of Debian's.
tree_of_guest() { [[ $architecture == amd64 ]] || printf '%s' "$deps/arm64/sysroot"; }

program_path() { # NAME
  local tree folder
  tree=$(tree_of_guest)
  for folder in usr/bin bin usr/sbin sbin; do
    [[ ! -x $tree/$folder/$1 ]] || { printf '%s\n' "$tree/$folder/$1"; return; }
  done
  return 1
}

bpftool_path() {
  local own=$deps/prefix/usr/sbin/bpftool
  [[ $architecture == amd64 ]] || own=$deps/arm64/prefix/usr/sbin/bpftool
  if [[ -x $own ]]; then printf '%s\n' "$own"; else program_path bpftool; fi
}

# The base has /bin, /sbin, /lib, /lib64 as symbolic links into /usr. A directory
# of that name in a later archive would replace the link, so paths are spelt out.
canonical() {
  case $1 in
    /bin/* | /sbin/* | /lib/* | /lib64/*) printf '/usr%s\n' "$1" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

# place STAGE HOST GUEST: an absolute symbolic link, which cpio -L replaces by
# what it points to: nothing is copied twice.
place() {
  local to
  to=$1$(canonical "$3")
  mkdir -p "$(dirname "$to")"
  ln -sfn "$(realpath "$2")" "$to"
}

# The shared libraries a program needs, loader and sanitizer runtimes included.
libraries_of() {
  local program
  {
    if [[ $architecture == amd64 ]]; then
      ldd "$@"
    else
      for program in "$@"; do qemu-aarch64 -L "$(tree_of_guest)" -E LD_TRACE_LOADED_OBJECTS=1 "$program"; done
    fi
  } 2>/dev/null | sed -nE 's/.*[[:space:]](\/[^ ]+) \(0x.*/\1/p; s/^[[:space:]]*(\/[^ ]+) \(0x.*/\1/p' | sort -u; }

place_libraries() { # STAGE PROGRAM...
  local stage=$1 library
  shift
  while IFS= read -r library; do place "$stage" "$(tree_of_guest)$library" "$library"; done < <(libraries_of "$@")
}

pack() { # STAGE
  (cd "$1" && find -L . -print0 | LC_ALL=C sort -z | cpio --null -o -L -H newc -R 0:0 --quiet)
}

populate_base() { # STAGE
  local stage=$1 program path paths=()
  mkdir -p "$stage"/usr/{bin,lib,lib64,local/bin} "$stage"/{proc,sys,dev,run,tmp,root,etc/ssl,usr/lib/ssl,var}
  for program in "${base_programs[@]}"; do
    path=$(program_path "$program") || fail "$program is missing" "run scripts/setup"
    place "$stage" "$path" "/usr/bin/$program"
    paths+=("$path")
  done
  path=$(bpftool_path)
  place "$stage" "$path" /usr/bin/bpftool
  place_libraries "$stage" "${paths[@]}" "$path"
  place "$stage" "$(program_path busybox)" /usr/bin/busybox
  place "$stage" /etc/ssl/openssl.cnf /etc/ssl/openssl.cnf
  place "$stage" /etc/ssl/openssl.cnf /usr/lib/ssl/openssl.cnf
  place "$stage" "$here/guest/guest-init" /init
  printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/sh\n' >"$stage/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$stage/etc/group"
  printf '127.0.0.1 localhost\n' >"$stage/etc/hosts"
}

# These links must stay links, so they go in an archive of their own.
populate_links() { # STAGE
  local stage=$1 name
  mkdir -p "$stage/usr/bin"
  for name in bin sbin; do ln -s usr/bin "$stage/$name"; done
  ln -s bin "$stage/usr/sbin"
  for name in lib lib64; do ln -s "usr/$name" "$stage/$name"; done
  # bash, because busybox's shell would run its own ip and tc even where
  # the real ones are in the PATH.
  ln -s bash "$stage/usr/bin/sh"
  while IFS= read -r name; do
    [[ $name != sh ]] || continue
    [[ -e $2/usr/bin/$name || -L $2/usr/bin/$name ]] || ln -s busybox "$stage/usr/bin/$name"
  done < <(busybox --list)
}

# Named after what it is made from: a newer tool or script makes a newer base.
base_key() {
  local program
  for program in "${base_programs[@]}" busybox; do program_path "$program"; done |
    cat - <(bpftool_path) <(printf '%s\n' "$here/guest/guest-init" "$here/guest/initramfs.sh" /etc/ssl/openssl.cnf) |
    xargs stat -L -c '%n %s %Y' | sha256sum | cut -c1-16
}

base_archive() {
  local archive scratch
  archive=$state/base-$(base_key).cpio
  if [[ ! -f $archive ]]; then
    scratch=$(mktemp -d "$state/base.XXXXXX")
    mkdir "$scratch/files" "$scratch/links"
    populate_base "$scratch/files"
    populate_links "$scratch/links" "$scratch/files"
    pack "$scratch/files" >"$scratch/cpio"
    (cd "$scratch/links" && find . -print0 | cpio --null -o -H newc -R 0:0 --quiet) >>"$scratch/cpio"
    find "$state" -maxdepth 1 -name 'base-*.cpio' -mmin +60 -delete
    mv "$scratch/cpio" "$archive"
    rm -rf "$scratch"
  fi
  printf '%s\n' "$archive"
}

# build_initramfs WORK HOST:GUEST...: writes WORK/initramfs.
build_initramfs() {
  local work=$1 stage=$1/stage pair host programs=() base
  shift
  mkdir "$stage"
  for pair in "$@"; do
    host=${pair%:/*}
    [[ -e $host ]] || fail "there is no $host" "build it, or correct --file or --bin"
    place "$stage" "$host" "/${pair##*:/}"
    if [[ -f $host && -x $host ]]; then programs+=("$host"); fi
  done
  [[ ${#programs[@]} -eq 0 ]] || place_libraries "$stage" "${programs[@]}"
  place "$stage" "$work/job" /job
  base=$(base_archive)
  { cat "$base" && pack "$stage"; } >"$work/initramfs"
  rm -rf "$stage"
}

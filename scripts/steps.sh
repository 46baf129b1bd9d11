# Steps and their stamps, and the machine's own packages. Sourced by setup and peers, which have said
# what to install ($packages).
# shellcheck shell=bash disable=SC2034,SC2154  # shares variables with scripts/setup

# Everything for one architecture lies in one folder.
use_folder() {
  deps=$1
  prefix=$deps/prefix/usr
  kernels=$deps/kernels
  downloads=$deps/downloads
  stamps=$deps/stamps
}

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
fail() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  printf '%s: what to do: %s\n' "${0##*/}" "$2" >&2
  exit 1
}
size_of() { du -sh "$1" | cut -f1; }

# --- steps and their stamps -------------------------------------------------

# What a step depends on: the text of the functions named, so that an updated
# script repeats exactly the steps that changed.
inputs_of() { declare -f "$@" | sha256sum | cut -d' ' -f1; }
stamped() { [[ -f $stamps/$1 && $(<"$stamps/$1") == "$2" ]]; }
stamp() {
  mkdir -p "$stamps"
  printf '%s\n' "$2" >"$stamps/$1.new"
  mv "$stamps/$1.new" "$stamps/$1"
}

# Runs a noisy command with its output in a log, shown only when it fails.
logged() {
  local log=$deps/logs/$1.log
  shift
  mkdir -p "$deps/logs"
  "$@" >"$log" 2>&1 && return
  tail -n 30 "$log" >&2
  fail "'$1 $2 …' failed; the full log is $log" \
    "read the lines above, then run scripts/${0##*/} again: it resumes here"
}

# --- the machine's own packages ---------------------------------------------

as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "packages are missing and this is neither root nor a machine with sudo" \
      "as root: apt-get install ${missing[*]}"
  fi
}

missing_packages() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
  comm -23 <(printf '%s\n' "${packages[@]}" | sort) \
    <(sed -n 's/^installed //p' <<<"$installed" | sort -u)
}

install_packages() {
  mapfile -t missing < <(missing_packages)
  [[ ${#missing[@]} -eq 0 ]] && return
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  as_root apt-get update || fail "apt-get update failed" \
    "read apt's message above; the sources in /etc/apt are the machine's own"
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" ||
    fail "apt-get could not install them" \
      "read apt's message above; bpfwarden is built on Debian 12 or 13"
}

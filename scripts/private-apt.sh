# A private apt under build/deps/apt, for packages that newer Debian suites carry:
# the machine's own sources are only read, never edited. Sourced by setup and peers.
# shellcheck shell=bash disable=SC2034,SC2154  # shares variables with scripts/setup

architecture=amd64
suites=(trixie trixie-backports bookworm-backports)
default_suite="" # where packages come from that no suite is named for

# "URI..." of the sources that serve this release, from *.sources and *.list.
debian_uris() {
  local codename
  # shellcheck disable=SC1091
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  awk -v want="$codename" '
    function flush(  i, n, s) {
      n = split(suites, s, /[ \t]+/)
      if (types ~ /(^|[ \t])deb([ \t]|$)/ && enabled !~ /^[Nn]o/)
        for (i = 1; i <= n; i++) if (s[i] == want || s[i] == "stable") { print uris; break }
      types = uris = suites = enabled = field = ""
    }
    FNR == 1 { flush() }
    /^#/ { next }
    /^[ \t]*$/ { flush(); next }
    /^[A-Za-z-]+:/ { field = tolower($1); sub(/^[^:]*:[ \t]*/, "") }
    field == "types:" { types = types " " $0 }
    field == "uris:" { uris = uris " " $0 }
    field == "suites:" { suites = suites " " $0 }
    field == "enabled:" { enabled = enabled $0 }
    END { flush() }
  ' /etc/apt/sources.list.d/*.sources /dev/null 2>/dev/null || true
  awk -v want="$codename" '
    $1 == "deb" { sub(/\[[^]]*\]/, ""); if ($3 == want || $3 == "stable") print $2 }
  ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list /dev/null 2>/dev/null || true
}

write_apt_config() {
  local uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg suite
  read -r uri _ < <(debian_uris) || true
  [[ -n ${uri:-} ]] || fail "no Debian mirror found in /etc/apt" \
    "use a Debian 12 or 13 machine whose /etc/apt/sources.list.d names its mirror"
  [[ -f $keyring ]] || fail "$keyring is missing, so nothing could be verified" \
    "apt-get install debian-archive-keyring"
  mkdir -p "$deps"/apt/{state/lists/partial,cache/archives/partial}
  : >"$deps/apt/status"
  for suite in "${suites[@]}"; do
    printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$uri" "$suite"
  done >"$deps/apt/sources.list"
  printf 'deb-src [signed-by=%s] %s trixie main\n' "$keyring" "$uri" >>"$deps/apt/sources.list"
  {
    # A machine's proxy settings stay in force: apt still reads /etc/apt/apt.conf.d.
    [[ -f /etc/apt/apt.conf ]] && printf '#include "/etc/apt/apt.conf";\n'
    printf '%s\n' "#clear APT::Update;" "#clear DPkg;" \
      "Dir::Etc::sourcelist \"$deps/apt/sources.list\";" \
      'Dir::Etc::sourceparts "/dev/null";' 'Dir::Etc::preferencesparts "/dev/null";' \
      'Dir::Etc::preferences "/dev/null";' \
      "Dir::State \"$deps/apt/state\";" "Dir::State::lists \"$deps/apt/state/lists\";" \
      "Dir::State::status \"$deps/apt/status\";" "Dir::Cache \"$deps/apt/cache\";" \
      'Dir::Cache::pkgcache "pkgcache.bin";' 'Dir::Cache::srcpkgcache "";' \
      'Acquire::Retries "3";' 'Acquire::Languages "none";' "APT::Architecture \"$architecture\";" "APT::Architectures \"$architecture\";"
    [[ -z $default_suite ]] || printf 'APT::Default-Release "%s";\n' "$default_suite"
    # As root apt would drop to _apt, who cannot write here.
    [[ $EUID -ne 0 ]] || printf 'APT::Sandbox::User "root";\n'
  } >"$deps/apt/main.conf"
  # main is read last, after the machine's apt.conf.d, so ours wins.
  printf 'Dir::Etc::main "%s";\n' "$deps/apt/main.conf" >"$deps/apt/apt.conf"
}

private_apt() {
  local tool=$1
  shift
  APT_CONFIG=$deps/apt/apt.conf "apt-$tool" "$@"
}

# Reads the package lists once a day at most, and only if something is wanted.
update_private_apt() {
  local inputs
  # The configuration holds absolute paths, so a moved checkout writes it anew.
  inputs=$(inputs_of write_apt_config debian_uris)$deps${suites[*]}
  stamped apt "$inputs" && [[ -n $(find "$stamps/apt" -mmin -1440) ]] && return
  write_apt_config
  say "reading Debian's package lists for $architecture (${suites[*]}; about 32 MB)"
  private_apt get update || fail "the package lists could not be fetched" \
    "check the network and the mirror in /etc/apt, then run scripts/${0##*/} again"
  stamp apt "$inputs"
}

# fetch PACKAGE[/SUITE]: downloads it, verified by apt, and prints the .deb's path.
# apt writes straight into the working directory and continues a partial file if
# the mirror sends dates (Last-Modified); else it starts that file again.
fetch() {
  local name=${1%%/*} deb
  update_private_apt >&2
  mkdir -p "$downloads/$name"
  (cd "$downloads/$name" && private_apt get download "$1") >&2 ||
    fail "$1 could not be downloaded" \
      "check the network; if the package is gone, remove $stamps/apt and run scripts/${0##*/} again"
  deb=$(find "$downloads/$name" -name "*.deb" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
  printf '%s\n' "$deb"
}

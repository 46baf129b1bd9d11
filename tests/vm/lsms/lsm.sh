# A guest whose kernel has another LSM beside BPF's. Sourced.
# shellcheck shell=bash disable=SC2034  # for who sources it

# use_lsm selinux|apparmor FOLDER: options of tests/vm/run in `lsm_settings`, what the guest runs first in `lsm_prepare`.
# What is made for it goes to FOLDER. SELinux is asked before BPF, AppArmor after it.
use_lsm() {
  local here
  here=$(dirname "${BASH_SOURCE[0]}")
  case $1 in
    selinux)
      secilc -o "$2/selinux.policy" -f /dev/null "$here/selinux.cil"
      lsm_settings=(--append "lsm=lockdown,selinux,bpf" --file "$2/selinux.policy:/opt/bpfwarden/selinux.policy")
      lsm_prepare='mount -t selinuxfs none /sys/fs/selinux &&
        cat /opt/bpfwarden/selinux.policy >/sys/fs/selinux/load && echo 1 >/sys/fs/selinux/enforce' ;;
    apparmor)
      lsm_settings=(--append "lsm=lockdown,bpf,apparmor" --bin "$(PATH=$PATH:/usr/sbin command -v apparmor_parser)"
        --file "$here/apparmor.profile:/opt/bpfwarden/apparmor.profile")
      lsm_prepare='apparmor_parser --skip-cache --replace /opt/bpfwarden/apparmor.profile' ;;
    *) return 2 ;;
  esac
}

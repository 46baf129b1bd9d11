# All that root may do, but no BPF.
profile stranger {
  file,
  capability,
  network,
  mount,
  signal,
  ptrace,
  unix,
  deny capability bpf,
  deny capability sys_admin,
}

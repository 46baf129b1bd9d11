// What a user of stock bpftool writes: a signed light skeleton, loaded by libbpf's own
// skel_internal.h. bpfwarden has signed its header again. usage: stock_loader KEYRING_SERIAL
#include <cerrno>

#include <cstdio>
#include <cstdlib>

#include "resigned.h"

int main(int argc, char** argv) {
  xdp_pass_bpf* skeleton = argc == 2 ? xdp_pass_bpf__open() : nullptr;
  if (skeleton == nullptr) return 2;
  skeleton->keyring_id = std::atoi(argv[1]);
  const int error = xdp_pass_bpf__load(skeleton);
  std::printf("load: %d\n", error);
  xdp_pass_bpf__destroy(skeleton);
  return error == 0 ? 0 : 1;
}

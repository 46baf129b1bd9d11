// The same loader after a reboot.
#define NEXT_BOOT
#include "addresses.bpf.c"

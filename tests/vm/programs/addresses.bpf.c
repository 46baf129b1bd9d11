// Three programs as loaders make them differ, or not, from boot to boot: with the address of a kernel symbol,
// which libbpf puts in for a symbol without a type; with a symbol that it names by its number in BTF; with
// the clock, whose address the verifier puts in. NEXT_BOOT is another address, as after a reboot.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#ifdef NEXT_BOOT
extern const void bpf_map_fops __ksym;
#define ADDRESS (&bpf_map_fops)
#else
extern const void bpf_prog_fops __ksym;
#define ADDRESS (&bpf_prog_fops)
#endif
extern const int bpf_prog_active __ksym;

SEC("socket") int with_address(struct __sk_buff* buffer) {
  return (int)((unsigned long)ADDRESS >> 12) + (int)buffer->len;
}

SEC("socket") int with_type(struct __sk_buff* buffer) {
  const int* active = bpf_this_cpu_ptr(&bpf_prog_active);
  return *active + (int)buffer->len;
}

SEC("socket") int with_clock(struct __sk_buff* buffer) {
  return (int)bpf_jiffies64() + (int)buffer->len;
}

char LICENSE[] SEC("license") = "GPL";

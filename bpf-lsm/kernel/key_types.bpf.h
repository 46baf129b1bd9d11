// Types of the kernel's keys and signatures, as kernel_types.bpf.h has the others.
#pragma once

#include "bpf-lsm/kernel/kernel_types.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

union key_payload {
  void* data[4];
};

struct key {
  __s32 serial;
  union key_payload payload;
};

struct public_key {
  void* key;
  __u32 keylen;
  const char* pkey_algo;
  unsigned long key_eflags;
};

struct asymmetric_key_subtype {
  const char* name;
};

struct asymmetric_key_id {
  __u16 len;
  __u8 data[];
};

struct public_key_signature {
  struct asymmetric_key_id* auth_ids[3];
  __u32 s_size;
};

struct x509_certificate {
  struct x509_certificate* signer;  // the certificate that issued it
  struct public_key* pub;
  struct public_key_signature* sig;
};

struct pkcs7_signed_info {
  struct pkcs7_signed_info* next;
  struct x509_certificate* signer;
  struct public_key_signature* sig;
};

struct pkcs7_message {
  struct pkcs7_signed_info* signed_infos;
};

#pragma clang attribute pop

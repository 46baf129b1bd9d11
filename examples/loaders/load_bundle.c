/*
 * Loads a bundle of `bpfwarden sign` with libbpf and libbpfwarden, on every kernel from 6.12 on,
 * and pins its programs.
 *
 * usage: load_bundle BUNDLE KEYRING FOLDER
 *   KEYRING  serial of the keyring to verify with: `keyctl id %:bpfwarden`
 *   FOLDER   on bpffs; the programs become FOLDER/0, FOLDER/1 ...
 *
 * Linux 6.18 to 7.2 without bpfwarden want the bundle's other signature (docs/bundle.md), which is
 * left out here.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <bpf/skel_internal.h> /* needs errno.h */

#include "bpfwarden/load.h"

/* Sections of a bundle: docs/bundle.md. */
enum { MANIFEST = 1, INSTRUCTIONS = 2, METADATA = 3, SIGNATURE = 4, SECTIONS = 5 };
enum { HEADER_SIZE = 16, MOST_BYTES = 32 * 1024 * 1024 };

struct bytes {
  unsigned char* data;
  uint32_t size;
};

/* The loader's context has room for all that one can have; what it does not use stays empty. */
enum { CONTEXT_SIZE = 4096 };

static int fail(const char* what) {
  fprintf(stderr, "load_bundle: %s: %s\n", what, strerror(errno));
  return -1;
}

static int malformed(void) {
  errno = EINVAL;
  return fail("this is no bundle of a loader");
}

static int read_file(const char* path, struct bytes* file) {
  FILE* stream = fopen(path, "rb");
  if (!stream) return fail(path);
  file->data = malloc(MOST_BYTES);
  file->size = file->data ? (uint32_t)fread(file->data, 1, MOST_BYTES, stream) : 0;
  fclose(stream);
  return file->data ? 0 : fail(path);
}

/* Into `sections`, by their type; they point into the file. */
static int find_sections(const struct bytes* file, struct bytes sections[SECTIONS]) {
  uint64_t at = HEADER_SIZE;
  if (file->size < HEADER_SIZE || memcmp(file->data,
                                         "\x89"
                                         "BPFW\r\n\x1a",
                                         8) != 0)
    return malformed();
  while (at + 16 <= file->size) {
    uint32_t type;
    uint64_t size;
    memcpy(&type, file->data + at, sizeof(type));
    memcpy(&size, file->data + at + 8, sizeof(size));
    at += 16;
    if (size > file->size - at) return malformed();
    if (type < SECTIONS) sections[type] = (struct bytes){file->data + at, (uint32_t)size};
    at += (size + 7) / 8 * 8;
  }
  return sections[METADATA].size && sections[INSTRUCTIONS].size && sections[SIGNATURE].size
             ? 0
             : malformed();
}

/* Of objects in a list of the manifest, whose form is canonical and whose names have no brackets.
 */
static int count_in(const struct bytes* manifest, const char* list) {
  const char* at = memmem(manifest->data, manifest->size, list, strlen(list));
  const char* end = (const char*)manifest->data + manifest->size;
  int count = 0;
  for (at = at ? at + strlen(list) : end; at < end && *at != ']'; at++) count += *at == '{';
  return count;
}

/* For the loader alone, filled, frozen. */
static int make_map(const struct bytes* instructions, const struct bytes* metadata) {
  const uint32_t key = 0;
  unsigned char hash[BPFWARDEN_HASH_SIZE];
  union bpf_attr attr;
  memset(&attr, 0, sizeof(attr));
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = sizeof(key);
  attr.value_size = metadata->size;
  attr.max_entries = 1;
  SHA256(instructions->data, instructions->size, hash);
  const int map = bpfwarden_create_map(&attr, sizeof(attr), hash);
  if (map < 0) return fail("the loader's map");
  if (bpf_map_update_elem(map, &key, metadata->data, BPF_ANY) || bpf_map_freeze(map))
    return fail("filling the loader's map");
  return map;
}

static int load_loader(const struct bytes sections[SECTIONS], int map, int32_t keyring) {
  const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
  const struct bpfwarden_signature signature = {
      .bytes = sections[SIGNATURE].data,
      .size = sections[SIGNATURE].size,
      .keyring = keyring,
      .flags = BPFWARDEN_COVERS_MAP,
  };
  union bpf_attr attr;
  int loader, tries = 100;
  memset(&attr, 0, sizeof(attr));
  attr.prog_type = BPF_PROG_TYPE_SYSCALL;
  attr.prog_flags = BPF_F_SLEEPABLE;
  attr.insns = (uintptr_t)sections[INSTRUCTIONS].data;
  attr.insn_cnt = sections[INSTRUCTIONS].size / (uint32_t)sizeof(struct bpf_insn);
  attr.license = (uintptr_t)"Dual BSD/GPL";
  attr.fd_array = (uintptr_t)&map;
  while ((loader = bpfwarden_load_program(&attr, sizeof(attr), &signature)) < 0 &&
         (errno == EAGAIN || errno == EBUSY) && --tries)
    nanosleep(&pause, NULL);
  return loader < 0 ? fail("the signed loader") : loader;
}

/* It makes the maps and loads the programs. */
static int run_loader(int loader, unsigned char context[CONTEXT_SIZE]) {
  const uint32_t size = CONTEXT_SIZE;
  LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = context, .ctx_size_in = CONTEXT_SIZE);
  memcpy(context, &size, sizeof(size));
  if (bpf_prog_test_run_opts(loader, &run)) return fail("running the loader");
  errno = -(int)run.retval;
  return (int)run.retval < 0 ? fail("the loader") : 0;
}

static int pin_programs(const unsigned char* context, const struct bytes* manifest,
                        const char* folder) {
  const int maps = count_in(manifest, "\"maps\":["),
            programs = count_in(manifest, "\"programs\":[");
  const size_t first = sizeof(struct bpf_loader_ctx) + (size_t)maps * sizeof(struct bpf_map_desc);
  if (maps > 64 || programs > 32) return malformed();
  if (mkdir(folder, 0700) && errno != EEXIST) return fail(folder);
  for (int i = 0; i < programs; i++) {
    struct bpf_prog_desc place;
    char path[4096];
    memcpy(&place, context + first + (size_t)i * sizeof(place), sizeof(place));
    snprintf(path, sizeof(path), "%s/%d", folder, i);
    if (bpf_obj_pin(place.prog_fd, path)) return fail(path);
    printf("%s\n", path);
  }
  return 0;
}

static int load(const char* path, int32_t keyring, const char* folder) {
  unsigned char context[CONTEXT_SIZE] = {0};
  struct bytes file, sections[SECTIONS] = {{NULL, 0}};
  if (read_file(path, &file) || find_sections(&file, sections)) return -1;
  const int map = make_map(&sections[INSTRUCTIONS], &sections[METADATA]);
  if (map < 0) return -1;
  const int loader = load_loader(sections, map, keyring);
  if (loader < 0 || run_loader(loader, context)) return -1;
  return pin_programs(context, &sections[MANIFEST], folder);
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: load_bundle BUNDLE KEYRING FOLDER\n");
    return 2;
  }
  return load(argv[1], (int32_t)strtol(argv[2], NULL, 0), argv[3]) ? 1 : 0;
}

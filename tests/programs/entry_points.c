/*
 * Every allocator entry point with NULL, zero, huge and misaligned arguments: prints what it returned and what it did to
 * errno. The output must be the same with and without the preload library, in a plain C program (main) and in a
 * traced interpreter (entry_points, through ctypes).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, UNTOUCHED = 4242 };

/* Read through a volatile, so that no call is known to fail when this is compiled. */
static volatile size_t huge[] = {(size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX};
static volatile size_t alignments[] = {0, 1, 3, 8, 16, 24, 64, 4096, (size_t)1 << 20, (size_t)1 << 62, (size_t)1 << 63, SIZE_MAX};
static volatile size_t sizes[] = {0, 1, 24, 25, 1000, 70000, (size_t)PTRDIFF_MAX, SIZE_MAX};

#define EACH(index, array) for (size_t index = 0; index < sizeof array / sizeof *array; index++)

static void begin(void) { errno = UNTOUCHED; }

/* Says whether a block came back, how it is aligned (at least to what was asked) and that it can be written. */
static void *end(const char *call, size_t first, size_t second, void *block, size_t alignment, size_t writable) {
  int after = errno;
  int is_power_of_two = alignment != 0 && (alignment & (alignment - 1)) == 0;
  int is_aligned = block != NULL && is_power_of_two && (uintptr_t)block % alignment == 0;
  if (block != NULL && writable < SIZE_MAX / 4) memset(block, 0x3c, writable);
  int fits = block != NULL && malloc_usable_size(block) >= writable;
  dprintf(1, "%s(%zx, %zx): %s aligned=%d fits=%d errno=%d\n", call, first, second, block ? "block" : "NULL", is_aligned, fits, after);
  return block;
}

static void number(const char *call, size_t first, size_t second, long result) {
  int after = errno;
  dprintf(1, "%s(%zx, %zx): %ld errno=%d\n", call, first, second, result, after);
}

static void release(void *block) {
  begin();
  free(block);
  if (errno != UNTOUCHED) dprintf(1, "free changed errno to %d\n", errno);
}

static void plain(void) {
  EACH(i, sizes) {
    size_t size = sizes[i];
    begin();
    release(end("malloc", size, 0, malloc(size), 16, size));
    begin();
    release(end("calloc", size, 1, calloc(size, 1), 16, size));
    begin();
    release(end("calloc", 3, size, calloc(3, size), 16, size > SIZE_MAX / 4 ? size : 3 * size));
    begin();
    release(end("realloc", 0, size, realloc(NULL, size), 16, size));
    begin();
    release(end("reallocarray", size, 5, reallocarray(NULL, size, 5), 16, size > SIZE_MAX / 4 ? size : 5 * size));
    begin();
    release(end("valloc", size, 0, valloc(size), PAGE, size));
    begin();
    release(end("pvalloc", size, 0, pvalloc(size), PAGE, size));
  }
  begin();
  number("malloc_usable_size", 0, 0, (long)malloc_usable_size(NULL));
  release(NULL);
}

static void resizing(void) {
  EACH(i, huge) {
    char *volatile block = malloc(100); /* volatile: still valid after a realloc that failed, which compilers doubt */
    memset(block, 0x21, 100);
    begin();
    void *moved = end("realloc to", 100, huge[i], realloc(block, huge[i]), 16, 0);
    begin();
    moved = moved ? moved : end("reallocarray to", huge[i], 2, reallocarray(block, huge[i], 2), 16, 0);
    for (int j = 0; moved == NULL && j < 100; j++)
      if (block[j] != 0x21) dprintf(1, "a failing realloc changed the block\n");
    release(moved ? moved : block);
  }
  begin();
  end("realloc to", 100, 0, realloc(malloc(100), 0), 16, 0);
  begin();
  release(end("realloc to", 100, 200000, realloc(malloc(100), 200000), 16, 200000));
  begin();
  release(end("realloc to", 200000, 40, realloc(malloc(200000), 40), 16, 40));
}

static void aligned(void) {
  EACH(i, alignments) {
    EACH(j, sizes) {
      size_t alignment = alignments[i], size = sizes[j];
      void *block = (void *)0x1234;
      begin();
      int result = posix_memalign(&block, alignment, size);
      number("posix_memalign", alignment, size, result);
      if (result != 0 && block != (void *)0x1234) dprintf(1, "a failing posix_memalign wrote its result\n");
      if (result == 0) {
        begin();
        release(end("posix_memalign", alignment, size, block, alignment, size));
      }
      begin();
      release(end("aligned_alloc", alignment, size, aligned_alloc(alignment, size), alignment, size));
      begin();
      release(end("memalign", alignment, size, memalign(alignment, size), alignment, size));
    }
  }
}

static void mappings(void) {
  enum { RW = PROT_READ | PROT_WRITE, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };
  struct {
    void *at;
    size_t size;
    int protection, flags, fd;
    off_t offset;
  } requests[] = {
      {NULL, 0, RW, ANONYMOUS, -1, 0},          {NULL, PAGE, RW, ANONYMOUS, -1, 0},
      {NULL, 10, RW, ANONYMOUS, -1, 0},         {NULL, SIZE_MAX, RW, ANONYMOUS, -1, 0},
      {NULL, PAGE, RW, 0, -1, 0},               {NULL, PAGE, RW, MAP_PRIVATE, -1, 0},
      {NULL, PAGE, RW, MAP_PRIVATE, 9999, 0},   {(void *)1, PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0},
      {NULL, PAGE, RW, ANONYMOUS, -1, 7},       {NULL, PAGE, PROT_NONE, ANONYMOUS, -1, 0},
      {NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0},
  };
  EACH(i, requests) {
    for (int wide = 0; wide < 2; wide++) {
      begin();
      void *at = (wide ? mmap64 : mmap)(requests[i].at, requests[i].size, requests[i].protection, requests[i].flags,
                                        requests[i].fd, requests[i].offset);
      number(wide ? "mmap64" : "mmap", i, 0, at == MAP_FAILED ? -1 : 0);
      if (at == MAP_FAILED) continue;
      begin();
      number("munmap, size", 0, 0, munmap(at, 0));
      begin();
      number("munmap, address", 1, PAGE, munmap((char *)at + 1, PAGE));
      begin();
      number("mremap, size", PAGE, 0, mremap(at, PAGE, 0, MREMAP_MAYMOVE) == MAP_FAILED);
      begin();
      number("mremap, address", 1, PAGE, mremap((char *)at + 1, PAGE, PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
      begin();
      number("mremap, flags", PAGE, PAGE, mremap(at, PAGE, PAGE, ~0) == MAP_FAILED);
      begin();
      void *moved = mremap(at, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
      number("mremap", PAGE, 3 * PAGE, moved == MAP_FAILED);
      begin();
      number("munmap", 0, 3 * PAGE, munmap(moved == MAP_FAILED ? at : moved, moved == MAP_FAILED ? PAGE : 3 * PAGE));
    }
  }
}

__attribute__((visibility("default"))) void entry_points(void) {
  plain();
  resizing();
  aligned();
  mappings();
}

int main(void) {
  entry_points();
  char line[64];
  FILE *status = fopen("/proc/self/status", "r");
  while (fgets(line, sizeof line, status) != NULL)
    if (strncmp(line, "Threads:", 8) == 0) dprintf(1, "%s", line);
  return fclose(status);
}

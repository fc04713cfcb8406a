/*
 * Gives and takes blocks. Opened twice under two names, once with RTLD_DEEPBIND, one half's malloc is libc's own while the other
 * half's is the first of the search order: each frees, and resizes, what the other made.
 */
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default"), noinline))

EXPORT void *give(long size) {
  char *block = malloc((size_t)size);
  memset(block, 0x2b, (size_t)size);
  return block;
}

EXPORT void take(void *block) { free(block); }

EXPORT void *stretch(void *block, long size) { return realloc(block, (size_t)size); }

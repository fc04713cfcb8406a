/*
 * Grows each block to what malloc_usable_size says and writes all of it, as systemd does: with _FORTIFY_SOURCE=3 the compiler
 * knows sizes by itself, and ends the program when a wrapper's blocks are longer than they say or shorter than they should be.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default"), noinline))

EXPORT void expand(long blocks) {
  unsigned long sum = 0;
  for (long i = 0; i < blocks; i++) {
    size_t size = (size_t)(i * 37 % 5000) + 1;
    char *block = malloc(size);
    size_t usable = malloc_usable_size(block);
    block = realloc(block, usable);
    memset(block, (int)i, usable);
    char copy[8] = {0};
    memcpy(copy, block, usable < sizeof copy ? usable : sizeof copy);
    sum = sum * 31 + usable + (unsigned char)copy[0];
    free(block);
  }
  dprintf(1, "%lx\n", sum);
}

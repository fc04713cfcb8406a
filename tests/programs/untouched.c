/* Asks for much memory and touches none of it: prints whether the process holds more than a little afterwards. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default"), noinline))

static long resident_bytes(void) {
  long whole, resident;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &whole, &resident) != 2) abort();
  fclose(file);
  return resident * 4096;
}

EXPORT void *untouched_calloc(long bytes) { return calloc(1, (size_t)bytes); }
EXPORT void *untouched_mmap(long bytes) {
  return mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

EXPORT void untouched(long calloc_bytes, long mmap_bytes) {
  long before = resident_bytes();
  int refused = untouched_calloc(calloc_bytes) == NULL || untouched_mmap(mmap_bytes) == MAP_FAILED;
  long grown = resident_bytes() - before;
  dprintf(1, refused ? "refused\n" : grown < 1 << 22 ? "little\n" : "%ld bytes\n", grown);
}

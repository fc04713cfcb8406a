/* An allocator of a library's own: pieces of chunks of 64 MiB that it asks the system for. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default"), noinline))

enum { CHUNK = 64 << 20, PIECE = 1 << 20 };

EXPORT void *bundled_chunk(void) {
  return mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

EXPORT void use_bundled(long pieces) {
  char *chunk = NULL;
  for (long i = 0; i < pieces; i++) {
    long at = i * PIECE % CHUNK;
    if (at == 0) chunk = bundled_chunk();
    if (chunk == MAP_FAILED) abort();
    chunk[at] = 1;
  }
}

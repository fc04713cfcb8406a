/* Allocates and frees as fast as it goes, in the calling thread. */
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default"), noinline))

EXPORT void *burst_malloc(size_t size) { return malloc(size); }

EXPORT void burst(long rounds) {
  void *kept[16] = {0};
  for (long i = 0; i < rounds; i++) {
    free(kept[i % 16]);
    kept[i % 16] = burst_malloc(1511);
  }
  for (int i = 0; i < 16; i++) free(kept[i]);
}

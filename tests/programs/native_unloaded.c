/* Two libraries from one source, so that the second can lie where the first lay: NAME is the function that differs, ROOM its frame. */
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default"), noinline))

EXPORT void at_allocation(size_t size) { __asm__ volatile("" ::"r"(size)); }

static void *volatile kept;

EXPORT void NAME(size_t size) {
  volatile char room[ROOM];
  __asm__ volatile("" ::"r"(room));
  at_allocation(size);
  kept = malloc(size);
  room[ROOM - 1] = 2;
}

EXPORT void enter(size_t size) {
  NAME(size);
  __asm__ volatile("" ::: "memory");
}

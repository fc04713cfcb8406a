/*
 * Chains of C functions that end in an allocation of a size of its own. `at_allocation` is where a debugger stops: called from the
 * allocating function, with the size. Compiled without frame pointers.
 */
#include <alloca.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default"), noinline))
#define KEEP_FRAME() __asm__ volatile("" ::: "memory") /* what follows a call keeps it from becoming a jump */

EXPORT void at_allocation(size_t size) { __asm__ volatile("" ::"r"(size)); }

static void *volatile kept[64];
static int kept_count;

static void keep(void *block) { kept[kept_count++ % 64] = block; }

EXPORT void allocate(size_t size) {
  at_allocation(size);
  keep(malloc(size));
}

EXPORT void chain_3(size_t size) { allocate(size); KEEP_FRAME(); }
EXPORT void chain_2(size_t size) { chain_3(size); KEEP_FRAME(); }
EXPORT void chain_1(size_t size) { chain_2(size); KEEP_FRAME(); }

EXPORT void recursion(size_t size, int depth) {
  if (depth > 0) recursion(size, depth - 1);
  else allocate(size);
  KEEP_FRAME();
}

/* A frame whose size is known when it runs only. */
EXPORT void variable_frame(size_t size, int bytes) {
  char *room = alloca((size_t)bytes);
  memset(room, 1, (size_t)bytes);
  __asm__ volatile("" ::"r"(room) : "memory");
  chain_2(size);
  KEEP_FRAME();
}

/* A frame of several pages, and many saved registers. */
EXPORT void large_frame(size_t size) {
  volatile char room[20000];
  room[0] = room[sizeof room - 1] = 1;
  variable_frame(size, room[0] * 77);
  room[1] = 2;
}

EXPORT void zeroed(size_t size) {
  at_allocation(size);
  keep(calloc(1, size));
}

EXPORT void resized(size_t size) {
  void *block = malloc(64);
  at_allocation(size);
  keep(realloc(block, size));
}

/* Python → C → Python → C: the callback calls `chain_1` or comes back here. */
EXPORT int call_back(int (*callback)(int), int number) {
  int result = callback(number);
  KEEP_FRAME();
  return result + 1;
}

static int (*comparison)(int);
static int compare(const void *one, const void *other) {
  return comparison(*(const int *)one - *(const int *)other);
}

/* Through a function of libc's that calls back. */
EXPORT void sorted_with(int (*callback)(int)) {
  int values[2] = {2, 1};
  comparison = callback;
  qsort(values, 2, sizeof values[0], compare);
}

/*
 * An allocator to preload that signal handlers may call: blocks come from one atomic counter, none is used again. libc's own may not
 * be called from a handler that interrupted it, so with it no program could show what we do there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default"), noinline))

static const size_t ROOM = (size_t)1 << 36;
static _Atomic(char *) start;
static atomic_size_t used;

static char *room(void) {
  char *known = atomic_load(&start);
  if (known != NULL) return known;
  int before = errno;
  char *mapped = (char *)syscall(SYS_mmap, NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (!atomic_compare_exchange_strong(&start, &known, mapped)) return known;
  errno = before;
  return mapped;
}

static void *aligned(size_t alignment, size_t size) {
  if (alignment < 16) alignment = 16;
  if (size > ROOM / 2 || alignment > ROOM / 2) return errno = ENOMEM, NULL;
  size_t whole = (size + 15) / 16 * 16 + 16 + alignment;
  size_t at = atomic_fetch_add(&used, whole);
  if (at + whole > ROOM) return errno = ENOMEM, NULL;
  uintptr_t block = ((uintptr_t)room() + at + 16 + alignment - 1) & ~(alignment - 1);
  ((size_t *)block)[-1] = size;
  return (void *)block;
}

EXPORT void *malloc(size_t size) { return aligned(16, size); }
EXPORT void free(void *block) {}
EXPORT size_t malloc_usable_size(void *block) { return block == NULL ? 0 : ((size_t *)block)[-1]; }
EXPORT void *memalign(size_t alignment, size_t size) { return aligned(alignment, size); }
EXPORT void *aligned_alloc(size_t alignment, size_t size) { return aligned(alignment, size); }
EXPORT int posix_memalign(void **result, size_t alignment, size_t size) {
  *result = aligned(alignment, size);
  return *result == NULL ? ENOMEM : 0;
}
EXPORT void *calloc(size_t count, size_t size) {
  size_t total;
  if (__builtin_mul_overflow(count, size, &total)) return errno = ENOMEM, NULL;
  return aligned(16, total); /* never used before, so it is clear */
}
EXPORT void *realloc(void *block, size_t size) {
  void *moved = malloc(size);
  if (block == NULL || moved == NULL) return moved;
  size_t old = malloc_usable_size(block);
  return memcpy(moved, block, old < size ? old : size);
}

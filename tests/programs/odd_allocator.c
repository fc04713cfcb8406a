/*
 * An allocator to preload that lacks a part of the family, as some do: malloc_usable_size stays libc's, which does not know these
 * blocks. Every block is preceded by a page that cannot be read, so looking before it ends the program.
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

enum { PAGE = 4096, LARGEST_IN_HEAP = 1024, SIZES = LARGEST_IN_HEAP / 16 + 1 };

#define EXPORT __attribute__((visibility("default"), noinline))

/* Small blocks come from one place, with their size before them. */
static char *next_small, *end_small;
static atomic_flag taken = ATOMIC_FLAG_INIT;
static void *unused[SIZES];

static char *pages(size_t bytes, int protection) {
  long result = syscall(SYS_mmap, NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return result == -1 ? NULL : (char *)result;
}

static size_t *size_of(void *block) { return (size_t *)block - 1; }

/* A block at the start of a page; before it a page that cannot be read, before that one with its size. */
static void *large(size_t size) {
  size_t whole = (size + PAGE - 1) / PAGE * PAGE;
  char *start = size > (size_t)1 << 46 ? NULL : pages(whole + 2 * PAGE, PROT_READ | PROT_WRITE);
  if (start == NULL) return errno = ENOMEM, NULL;
  mprotect(start + PAGE, PAGE, PROT_NONE);
  *(size_t *)start = whole;
  return start + 2 * PAGE;
}

static int is_small(const void *block) { return (uintptr_t)block % PAGE != 0; }

static void *small(size_t size) {
  size_t class = size == 0 ? 1 : (size + 15) / 16;
  while (atomic_flag_test_and_set(&taken)) continue;
  void *block = unused[class];
  if (block != NULL) {
    memcpy(&unused[class], block, sizeof(void *));
  } else {
    size_t bytes = class * 16 + 16;
    if (next_small == NULL || (size_t)(end_small - next_small) < bytes + 16) {
      next_small = pages(1 << 24, PROT_READ | PROT_WRITE);
      end_small = next_small + (1 << 24);
    }
    block = next_small + 16;
    if (!is_small(block)) block = (char *)block + 16;
    next_small = (char *)block + class * 16;
    *size_of(block) = class * 16;
  }
  atomic_flag_clear(&taken);
  return block;
}

EXPORT void *malloc(size_t size) { return size <= LARGEST_IN_HEAP ? small(size) : large(size); }

EXPORT void free(void *block) {
  if (block == NULL) return;
  if (!is_small(block)) {
    char *start = (char *)block - 2 * PAGE;
    munmap(start, *(size_t *)start + 2 * PAGE);
    return;
  }
  size_t class = *size_of(block) / 16;
  while (atomic_flag_test_and_set(&taken)) continue;
  memcpy(block, &unused[class], sizeof(void *));
  unused[class] = block;
  atomic_flag_clear(&taken);
}

EXPORT void *calloc(size_t count, size_t size) {
  size_t total;
  if (__builtin_mul_overflow(count, size, &total)) return errno = ENOMEM, NULL;
  void *block = malloc(total);
  if (block != NULL && is_small(block)) memset(block, 0, total);
  return block;
}

static size_t length(void *block) { return is_small(block) ? *size_of(block) : *(size_t *)((char *)block - 2 * PAGE); }

EXPORT void *realloc(void *block, size_t size) {
  void *moved = malloc(size);
  if (block == NULL || moved == NULL) return moved;
  memcpy(moved, block, length(block) < size ? length(block) : size);
  free(block);
  return moved;
}

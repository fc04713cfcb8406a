/*
 * Maps, unmaps, overlays and moves ranges of pages at random, and keeps the books page by page: which live mapping each page
 * belongs to. Prints what of each function is live at the end.
 *
 * The pages lie where the system puts nothing by itself, so holes stay holes. None is touched.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default"), noinline))

enum { PAGE = 4096, PAGES = 512, MOST_MAPPINGS = 1 << 20, MAPPED = 0, MOVED = 1 };
static char *const start = (char *)0x200000000000;

static int owner[PAGES];               /* 0: none that counts */
static unsigned char is_mapped[PAGES]; /* also what does not count */
static unsigned char maker[MOST_MAPPINGS];
static long pages_of[MOST_MAPPINGS];
static int last_mapping;

static char *page(int index) { return start + (size_t)index * PAGE; }

EXPORT void *storm_map(int first, int count) {
  return mmap(page(first), (size_t)count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}
EXPORT void *storm_reserve(int first, int count) { /* holds no memory: not counted */
  return mmap(page(first), (size_t)count * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}
EXPORT int storm_unmap(int first, int count) { return munmap(page(first), (size_t)count * PAGE); }
EXPORT void *storm_move(int from, int count, int to, int wanted) {
  return mremap(page(from), (size_t)count * PAGE, (size_t)wanted * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page(to));
}

static void die(const char *what) {
  dprintf(2, "mapping_storm: %s\n", what);
  abort();
}

static void give(int first, int count, int mapping) {
  for (int i = first; i < first + count; i++) {
    pages_of[owner[i]]--;
    owner[i] = mapping;
    pages_of[mapping]++;
  }
  pages_of[0] = 0;
}

static int fresh(int by) {
  if (++last_mapping == MOST_MAPPINGS) die("too many mappings");
  maker[last_mapping] = by;
  return last_mapping;
}

/* Whether a range is of one kind: all of it counts, or none of it does but all is mapped. */
static int is_even(int first, int count) {
  for (int i = first; i < first + count; i++)
    if (!is_mapped[i] || (owner[i] == 0) != (owner[first] == 0)) return 0;
  return 1;
}

static void move(int from, int count, int to, int wanted) {
  if ((from < to + wanted && to < from + count) || !is_even(from, count)) return;
  int mapping = owner[from], counts = mapping != 0, is_whole = pages_of[mapping] == count;
  for (int i = from; i < from + count; i++) is_whole &= owner[i] == mapping;
  if (storm_move(from, count, to, wanted) == MAP_FAILED) die("a move fails");
  give(from, count, 0);
  memset(is_mapped + from, 0, count);
  if (counts && !is_whole) mapping = fresh(MOVED);
  if (counts) maker[mapping] = MOVED;
  give(to, wanted, counts ? mapping : 0);
  memset(is_mapped + to, 1, wanted);
}

EXPORT void storm(long seed, long rounds) {
  uint64_t state = (uint64_t)seed * 0x9e3779b97f4a7c15u + 1;
  for (long i = 0; i < rounds; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    int first = (int)(state >> 33) % PAGES, length = 1 + (int)(state >> 50) % 24;
    int count = first + length > PAGES ? PAGES - first : length;
    switch (state >> 61) {
      case 0: case 1: case 2:
        if (storm_map(first, count) == MAP_FAILED) die("a mapping fails");
        give(first, count, fresh(MAPPED));
        memset(is_mapped + first, 1, count);
        break;
      case 3:
        if (storm_reserve(first, count) == MAP_FAILED) die("a reservation fails");
        give(first, count, 0);
        memset(is_mapped + first, 1, count);
        break;
      case 4: case 5:
        if (storm_unmap(first, count) != 0) die("an unmapping fails");
        give(first, count, 0);
        memset(is_mapped + first, 0, count);
        break;
      default: {
        int to = (int)(state >> 20 & 0xffff) % PAGES, wanted = 1 + (int)(state >> 12 & 0xff) % 24;
        move(first, count, to, to + wanted > PAGES ? PAGES - to : wanted);
      }
    }
  }
  long blocks[2] = {0}, pages[2] = {0};
  for (int i = 1; i <= last_mapping; i++) {
    blocks[maker[i]] += pages_of[i] > 0;
    pages[maker[i]] += pages_of[i];
  }
  dprintf(1, "%ld %ld %ld %ld\n", blocks[MAPPED], pages[MAPPED] * PAGE, blocks[MOVED], pages[MOVED] * PAGE);
}

/*
 * Every hooked function many times, with a known value in errno before each call: prints, for each function, how many calls
 * changed it. Sizes and numbers of live blocks vary, so that buffers fill up and are handed over within the calls.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default"), noinline))

enum { SENTINEL = 4242, KEPT = 512, PAGE = 4096, RARE = 64 };

static long changed[32];
static const char *names[32];

#define CHECK(index, name, call)              \
  do {                                        \
    names[index] = name;                      \
    errno = SENTINEL;                         \
    call;                                     \
    if (errno != SENTINEL) changed[index]++;  \
  } while (0)

struct api {
  void *(*malloc)(size_t);
  void *(*calloc)(size_t, size_t);
  void *(*realloc)(void *, size_t);
  void (*free)(void *);
};

static void found(struct api *api, const char *prefix) {
  const char *suffixes[] = {"Malloc", "Calloc", "Realloc", "Free"};
  void **members[] = {(void **)&api->malloc, (void **)&api->calloc, (void **)&api->realloc, (void **)&api->free};
  for (int i = 0; i < 4; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s%s", prefix, suffixes[i]);
    *members[i] = dlsym(RTLD_DEFAULT, name);
  }
}

static void exercise(int first, const struct api *api, size_t size, void **place) {
  void *block = NULL, *cleared = NULL;
  CHECK(first, "malloc", block = api->malloc(size));
  CHECK(first + 1, "realloc", block = api->realloc(block, size * 2 + 1));
  CHECK(first + 2, "calloc", cleared = api->calloc(3, size));
  CHECK(first + 3, "free", api->free(cleared));
  CHECK(first + 3, "free", api->free(*place));
  *place = block;
}

EXPORT void keep_errno_with_gil(long rounds) {
  static void *blocks[4][KEPT];
  struct api libc = {malloc, calloc, realloc, free}, raw, mem, object;
  found(&raw, "PyMem_Raw");
  found(&mem, "PyMem_");
  found(&object, "PyObject_");
  unsigned state = 1;
  for (long i = 0; i < rounds; i++) {
    state = state * 1664525u + 1013904223u;
    size_t size = 1 + (state >> 8) % 700;
    unsigned place = (state >> 20) % KEPT;
    exercise(0, &libc, size, &blocks[0][place]);
    exercise(4, &raw, size, &blocks[1][place]);
    exercise(8, &mem, size, &blocks[2][place]);
    exercise(12, &object, size, &blocks[3][place]);
    void *aligned = NULL;
    CHECK(16, "posix_memalign", (void)!posix_memalign(&aligned, 64, size));
    free(aligned);
    CHECK(17, "aligned_alloc", aligned = aligned_alloc(64, 64));
    CHECK(18, "malloc_usable_size", malloc_usable_size(aligned));
    free(aligned);
    if (i % RARE != 0) continue;
    char *map = NULL;
    CHECK(19, "mmap", map = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(20, "mremap", map = mremap(map, 3 * PAGE, 5 * PAGE, MREMAP_MAYMOVE));
    CHECK(21, "munmap", munmap(map, 5 * PAGE));
    void *library = dlopen("libm.so.6", RTLD_NOW);
    CHECK(22, "dlclose", dlclose(library));
    CHECK(23, "setlocale", setlocale(LC_ALL, "C"));
  }
  for (int i = 0; i < 32; i++)
    if (names[i] != NULL) dprintf(1, "%d %s %ld\n", i, names[i], changed[i]);
}

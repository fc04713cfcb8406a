/*
 * Makes known calls of known sizes in every domain, and keeps the books itself: one row per calling function. Each
 * function below that calls an allocator is a call site of that name, and the report's numbers of the site must equal its row.
 *
 * Opened by ctypes.PyDLL in a running interpreter: PyMem_* is found at run time, so no Python header is needed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default"), noinline))

struct row {
  const char *domain, *function;
  uint64_t allocations, reallocations, requested_bytes, served_bytes, live_blocks, live_bytes, temporary_allocations;
};

enum { ROWS_MAX = 64 };
static struct row rows[ROWS_MAX];
static int rows_used;

/* Who serves Python's blocks: for pymalloc (1 to 512 bytes) and plain libc it is known how many bytes that are. */
enum server { LIBC, PYMALLOC, SOMEONE_ELSE };
static enum server server;

static struct row *row_of(const char *domain, const char *function) {
  for (int i = 0; i < rows_used; i++)
    if (strcmp(rows[i].function, function) == 0) return &rows[i];
  rows[rows_used] = (struct row){.domain = domain, .function = function};
  return &rows[rows_used++];
}

static void die(const char *what) {
  dprintf(2, "alloc_probe: %s\n", what);
  _exit(99);
}

/* A block as the books see it. */
struct block {
  void *address;
  size_t size, served;
  struct row *row;
};

static int is_pooled(const struct row *row, size_t size) {
  return server == PYMALLOC && size > 0 && size <= 512 && (strcmp(row->domain, "mem") == 0 || strcmp(row->domain, "object") == 0);
}

static size_t served_bytes(const struct row *row, void *address, size_t size) {
  if (server == SOMEONE_ELSE && strcmp(row->domain, "malloc") != 0) return 0;
  if (is_pooled(row, size)) return (size + 15) & ~(size_t)15;
  return malloc_usable_size(address);
}

static struct block born(struct row *row, void *address, size_t size) {
  if (address == NULL) die(row->function);
  struct block block = {address, size, served_bytes(row, address, size), row};
  row->allocations++;
  row->requested_bytes += size;
  row->served_bytes += block.served;
  row->live_blocks++;
  row->live_bytes += size;
  return block;
}

static void died(struct block *block) {
  block->row->live_blocks--;
  block->row->live_bytes -= block->size;
}

static void resized(struct block *block, struct row *row, void *address, size_t size) {
  if (address == NULL) die(row->function);
  int in_same_pool_block = address == block->address && is_pooled(block->row, block->size) && is_pooled(row, size);
  died(block);
  block->served = in_same_pool_block ? block->served : served_bytes(row, address, size);
  *block = (struct block){address, size, block->served, row};
  row->reallocations++;
  row->requested_bytes += size;
  row->served_bytes += block->served;
  row->live_blocks++;
  row->live_bytes += size;
}

/* One API: the call sites in it, and their rows. */
struct api {
  void *(*malloc)(size_t);
  void *(*calloc)(size_t, size_t);
  void *(*realloc)(void *, size_t);
  void (*free)(void *);
};

static struct api raw, mem, object;
static struct api libc = {malloc, calloc, realloc, free};

#define SITES(api)                                                                                    \
  EXPORT void *api##_malloc(size_t size) { return api.malloc(size); }                                 \
  EXPORT void *api##_calloc(size_t count, size_t size) { return api.calloc(count, size); }            \
  EXPORT void *api##_realloc(void *block, size_t size) { return api.realloc(block, size); }           \
  EXPORT void *api##_temporary(size_t size) { return api.malloc(size); }

SITES(raw)
SITES(mem)
SITES(object)
SITES(libc)

struct sites {
  const char *domain;
  struct api *api;
  struct api calls;
  void *(*temporary)(size_t);
  const char *malloc_name, *calloc_name, *realloc_name, *temporary_name;
  size_t base;
};

#define SITES_OF(name, domain_name, base_bytes)                                                       \
  {                                                                                                   \
    .domain = domain_name, .api = &name, .calls = {name##_malloc, name##_calloc, name##_realloc, 0},  \
    .temporary = name##_temporary, .malloc_name = #name "_malloc", .calloc_name = #name "_calloc",    \
    .realloc_name = #name "_realloc", .temporary_name = #name "_temporary", .base = base_bytes        \
  }

static struct sites all_sites[] = {
    SITES_OF(raw, "raw", 0),
    SITES_OF(mem, "mem", 2),
    SITES_OF(object, "object", 4),
    SITES_OF(libc, "malloc", 6),
};

static volatile size_t too_much = PTRDIFF_MAX;

/* One round of malloc, calloc, realloc and free in all their forms. Blocks that stay live are dropped: the books have them. */
static void drive(struct sites *sites) {
  struct row *on_malloc = row_of(sites->domain, sites->malloc_name);
  struct row *on_calloc = row_of(sites->domain, sites->calloc_name);
  struct row *on_realloc = row_of(sites->domain, sites->realloc_name);
  struct row *on_temporary = row_of(sites->domain, sites->temporary_name);
  struct api *calls = &sites->calls;
  size_t base = sites->base;

  struct block kept = born(on_malloc, calls->malloc(1009 + base), 1009 + base);
  born(on_malloc, calls->malloc(0), 0);
  char *zeroed = calls->calloc(7, 31);
  for (int i = 0; i < 7 * 31; i++)
    if (zeroed[i] != 0) die("calloc does not clear");
  memset(zeroed, 0x5a, 7 * 31); /* so that recycled memory is not clear by chance */
  born(on_calloc, zeroed, 7 * 31);
  born(on_calloc, calls->calloc(0, 31), 0);

  size_t size = 61 + base;
  born(on_realloc, calls->realloc(NULL, size), size); /* a malloc by another name */

  struct block grown = born(on_malloc, calls->malloc(127), 127);
  memset(grown.address, 0x77, 127);
  resized(&grown, on_realloc, calls->realloc(grown.address, 3001 + base), 3001 + base);
  for (int i = 0; i < 127; i++)
    if (((char *)grown.address)[i] != 0x77) die("realloc loses content");
  struct block shrunk = born(on_malloc, calls->malloc(401), 401);
  resized(&shrunk, on_realloc, calls->realloc(shrunk.address, 97), 97);
  struct block in_place = born(on_malloc, calls->malloc(401), 401);
  resized(&in_place, on_realloc, calls->realloc(in_place.address, 389), 389);
  struct block large = born(on_malloc, calls->malloc(300007), 300007);
  resized(&large, on_realloc, calls->realloc(large.address, 600011), 600011);

  struct block temporary = born(on_temporary, sites->temporary(211 + base), 211 + base);
  sites->api->free(temporary.address);
  died(&temporary);
  on_temporary->temporary_allocations++;

  struct block emptied = born(on_malloc, calls->malloc(53), 53);
  void *empty = calls->realloc(emptied.address, 0);
  if (sites->api == &libc) { /* glibc frees the block, with nothing allocated since it was born */
    if (empty != NULL) die("realloc(p, 0) of libc returns a block");
    died(&emptied);
    on_malloc->temporary_allocations++;
  } else {
    resized(&emptied, on_realloc, empty, 0);
  }

  if (calls->malloc(too_much) != NULL || calls->calloc(too_much, 2) != NULL) die("an absurd request succeeds");
  if (calls->realloc(kept.address, too_much) != NULL) die("an absurd realloc succeeds");
  sites->api->free(NULL);

  sites->api->free(large.address);
  died(&large);
  sites->api->free(shrunk.address);
  died(&shrunk);
}

/* The rest of libc's family. */
EXPORT void *libc_reallocarray(size_t count, size_t size) { return reallocarray(NULL, count, size); }
EXPORT void *libc_posix_memalign(size_t alignment, size_t size) {
  void *block = NULL;
  return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}
EXPORT void *libc_aligned_alloc(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }
EXPORT void *libc_memalign(size_t alignment, size_t size) { return memalign(alignment, size); }
EXPORT void *libc_valloc(size_t size) { return valloc(size); }
EXPORT void *libc_pvalloc(size_t size) { return pvalloc(size); }

/* Names that not every libc has; without them, free does. */
static void plain_free_sized(void *block, size_t size) { free(block); }
static void plain_free_aligned_sized(void *block, size_t alignment, size_t size) { free(block); }
static void (*cfree_found)(void *) = free;
static void (*free_sized_found)(void *, size_t) = plain_free_sized;
static void (*free_aligned_sized_found)(void *, size_t, size_t) = plain_free_aligned_sized;

static void find_frees(void) {
  void *found;
  if ((found = dlsym(RTLD_DEFAULT, "cfree")) != NULL) cfree_found = found;
  if ((found = dlsym(RTLD_DEFAULT, "free_sized")) != NULL) free_sized_found = found;
  if ((found = dlsym(RTLD_DEFAULT, "free_aligned_sized")) != NULL) free_aligned_sized_found = found;
}

static struct block aligned(const char *function, void *address, size_t alignment, size_t size) {
  if ((uintptr_t)address % alignment != 0) die("a block is not aligned");
  return born(row_of("malloc", function), address, size);
}

static void drive_libc(void) {
  for (int second = 0; second < 2; second++) {
    struct block blocks[] = {
        born(row_of("malloc", "libc_reallocarray"), libc_reallocarray(3, 347), 3 * 347),
        aligned("libc_posix_memalign", libc_posix_memalign(64, 1013), 64, 1013),
        aligned("libc_memalign", libc_memalign(128, 1019), 128, 1019),
        aligned("libc_valloc", libc_valloc(1021), 4096, 1021),
        aligned("libc_pvalloc", libc_pvalloc(1031), 4096, 1031),
    };
    struct block with_alignment = aligned("libc_aligned_alloc", libc_aligned_alloc(256, 1024), 256, 1024);
    struct block with_size = born(row_of("malloc", "libc_malloc"), libc_malloc(1033), 1033);
    if (!second) continue; /* the first round's blocks stay live */
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
      (i % 2 ? cfree_found : free)(blocks[i].address);
      died(&blocks[i]);
    }
    free_aligned_sized_found(with_alignment.address, 256, with_alignment.size);
    died(&with_alignment);
    free_sized_found(with_size.address, with_size.size); /* born last, and nothing since: temporary */
    died(&with_size);
    with_size.row->temporary_allocations++;
  }
}

/* Anonymous mappings. Served bytes are whole pages. */
enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS };

EXPORT void *mmap_new(size_t size, int flags) { return mmap(NULL, size, RW, flags, -1, 0); }
EXPORT void *mmap_new_64(size_t size) { return mmap64(NULL, size, RW, PRIVATE, -1, 0); }
EXPORT void *mmap_over(void *at, size_t size) { return mmap(at, size, RW, PRIVATE | MAP_FIXED, -1, 0); }
EXPORT void *mmap_resize(void *at, size_t old, size_t size) { return mremap(at, old, size, MREMAP_MAYMOVE); }

static struct block mapped(const char *function, void *address, size_t size) {
  if (address == MAP_FAILED) die(function);
  struct row *row = row_of("mmap", function);
  row->allocations++;
  row->requested_bytes += size;
  row->served_bytes += (size + PAGE - 1) & ~(size_t)(PAGE - 1);
  row->live_blocks++;
  row->live_bytes += size;
  return (struct block){address, size, 0, row};
}

static void drive_mmap(void) {
  mapped("mmap_new", mmap_new(3 * PAGE, PRIVATE), 3 * PAGE);
  mapped("mmap_new_64", mmap_new_64(5 * PAGE), 5 * PAGE);

  struct block whole = mapped("mmap_new", mmap_new(7 * PAGE, PRIVATE), 7 * PAGE);
  munmap(whole.address, 7 * PAGE);
  died(&whole);
  whole.row->temporary_allocations++;

  struct block cut = mapped("mmap_new", mmap_new(11 * PAGE, PRIVATE), 11 * PAGE);
  munmap((char *)cut.address + 2 * PAGE, 4 * PAGE); /* a hole in the middle: still one block */
  cut.row->live_bytes -= 4 * PAGE;
  cut.size -= 4 * PAGE;
  munmap(cut.address, 2 * PAGE);
  cut.row->live_bytes -= 2 * PAGE;

  struct block resized_block = mapped("mmap_new", mmap_new(13 * PAGE, PRIVATE), 13 * PAGE);
  struct row *row = row_of("mmap", "mmap_resize");
  if (mmap_resize(resized_block.address, 13 * PAGE, 29 * PAGE) == MAP_FAILED) die("mremap");
  died(&resized_block);
  row->reallocations++;
  row->requested_bytes += 29 * PAGE;
  row->served_bytes += 29 * PAGE;
  row->live_blocks++;
  row->live_bytes += 29 * PAGE;

  char *reserved = mmap(NULL, 64 * PAGE, PROT_NONE, PRIVATE | MAP_NORESERVE, -1, 0); /* holds no memory: not counted */
  struct block below = mapped("mmap_over", mmap_over(reserved + 32 * PAGE, 4 * PAGE), 4 * PAGE);
  mapped("mmap_over", mmap_over(reserved, 17 * PAGE), 17 * PAGE);
  mapped("mmap_over", mmap_over(reserved + 32 * PAGE, 4 * PAGE), 4 * PAGE); /* takes the place of the one before */
  died(&below);

  if (mmap_new(PAGE, MAP_SHARED | MAP_ANONYMOUS) == MAP_FAILED) die("mmap"); /* shared: not counted */
  if (mmap_new(0, PRIVATE) != MAP_FAILED) die("an empty mapping succeeds");
}

static void find(struct api *api, const char *prefix) {
  char name[64];
  void **members[] = {(void **)&api->malloc, (void **)&api->calloc, (void **)&api->realloc, (void **)&api->free};
  const char *suffixes[] = {"Malloc", "Calloc", "Realloc", "Free"};
  for (int i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "%s%s", prefix, suffixes[i]);
    *members[i] = dlsym(RTLD_DEFAULT, name);
    if (*members[i] == NULL) die(name);
  }
}

EXPORT void probe_run(int rounds, enum server who_serves) {
  server = who_serves;
  find(&raw, "PyMem_Raw");
  find(&mem, "PyMem_");
  find(&object, "PyObject_");
  find_frees();
  for (int i = 0; i < rounds; i++) {
    for (size_t j = 0; j < sizeof all_sites / sizeof *all_sites; j++) drive(&all_sites[j]);
    drive_libc();
    drive_mmap();
  }
}

/* The books, one JSON object per line. */
EXPORT void probe_print(void) {
  for (int i = 0; i < rows_used; i++) {
    struct row *row = &rows[i];
    dprintf(1,
            "{\"domain\":\"%s\",\"function\":\"%s\",\"allocations\":%lu,\"reallocations\":%lu,\"requested_bytes\":%lu,"
            "\"served_bytes\":%lu,\"live_blocks\":%lu,\"live_bytes\":%lu,\"temporary_allocations\":%lu}\n",
            row->domain, row->function, row->allocations, row->reallocations, row->requested_bytes, row->served_bytes,
            row->live_blocks, row->live_bytes, row->temporary_allocations);
  }
}

/*
 * Threads allocate, resize and free blocks of one size through shared places, so that most blocks are freed by another
 * thread than their own; some frees are of foreign blocks, born while nothing was recorded. A log behind one lock says
 * which blocks live, by the function that asked for them, and how many there were at most.
 *
 * With `serial`, a call and its note are one step under the lock: the log is exact. Without, calls run at once, and a birth is
 * noted after the call, a death before it: the log's order is one of those that are true.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SIZE = 89, THREADS_MAX = 16, SITES = 2 * THREADS_MAX, PLACES = 16384, PHASES = 8, FOREIGN_ONE_IN = 10 };
enum { TABLE = 1 << 17 }; /* more than twice the blocks that can live: one in each place and one in each thread's hands */

#define EXPORT __attribute__((visibility("default"), noinline))
/* One allocating and one resizing function for each thread: call sites of these names. */
#define SITE(n) \
  EXPORT void *born_##n(void) { return malloc(SIZE); } \
  EXPORT void *resized_##n(void *block) { return realloc(block, SIZE); }
SITE(0) SITE(1) SITE(2) SITE(3) SITE(4) SITE(5) SITE(6) SITE(7)
SITE(8) SITE(9) SITE(10) SITE(11) SITE(12) SITE(13) SITE(14) SITE(15)
#define ALL(name) name##_0, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, name##_8, name##_9, \
  name##_10, name##_11, name##_12, name##_13, name##_14, name##_15
static void *(*const born[THREADS_MAX])(void) = {ALL(born)};
static void *(*const resized[THREADS_MAX])(void *) = {ALL(resized)};

/* The log: live addresses with their sites, by open addressing. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { uintptr_t address; int site; } table[TABLE];
static uint64_t live[SITES], calls[SITES], live_total, live_most;

static void die(const char *what) {
  dprintf(2, "logged_threads: %s\n", what);
  abort();
}

static size_t place_of(uintptr_t address) { return (address * 0x9e3779b97f4a7c15u) >> 47; }

static void note_birth(void *block, int site) {
  size_t at = place_of((uintptr_t)block);
  for (; table[at].address != 0; at = (at + 1) % TABLE)
    if (table[at].address == (uintptr_t)block) die("an address was given out twice");
  table[at].address = (uintptr_t)block;
  table[at].site = site;
  live[site]++;
  calls[site]++;
  if (++live_total > live_most) live_most = live_total;
}

static void note_death(void *block) {
  size_t hole = place_of((uintptr_t)block);
  for (; table[hole].address != (uintptr_t)block; hole = (hole + 1) % TABLE)
    if (table[hole].address == 0) die("a block is freed that was never born");
  live[table[hole].site]--;
  live_total--;
  for (size_t at = (hole + 1) % TABLE; table[at].address != 0; at = (at + 1) % TABLE)
    if ((at - place_of(table[at].address)) % TABLE >= (at - hole) % TABLE) {
      table[hole] = table[at];
      hole = at;
    }
  table[hole].address = 0;
}

/* What the threads share. */
static int serial;
static long rounds;
static _Atomic(void *) places[PLACES];
static void **foreign;
static long foreign_count;
static atomic_long foreign_next;
static pthread_barrier_t together;

static void begin(void) { pthread_mutex_lock(&lock); }
static void end(void) { pthread_mutex_unlock(&lock); }

static void *make(int thread) {
  if (serial) begin();
  void *block = born[thread]();
  if (!serial) begin();
  note_birth(block, thread);
  end();
  return block;
}

static void drop(void *block) {
  if (block == NULL) return;
  begin();
  note_death(block);
  if (!serial) end();
  free(block);
  if (serial) end();
}

static void *resize(int thread, void *block) {
  begin();
  note_death(block);
  if (!serial) end();
  block = resized[thread](block);
  if (!serial) begin();
  note_birth(block, THREADS_MAX + thread);
  end();
  return block;
}

static void *work(void *number) {
  int thread = (int)(intptr_t)number;
  uint32_t state = 2654435761u * (uint32_t)(thread + 1);
  pthread_barrier_wait(&together);
  for (long i = 0; i < rounds; i++) {
    state = state * 1664525u + 1013904223u;
    _Atomic(void *) *place = &places[(state >> 8) % PLACES];
    unsigned luck = state >> 24 & 15;
    int growing = i * PHASES / rounds % 2 == 0;
    if (luck == 15) {
      void *block = atomic_exchange(place, NULL);
      if (block != NULL) drop(atomic_exchange(place, resize(thread, block)));
    } else {
      drop(atomic_exchange(place, luck < (growing ? 10 : 5) ? make(thread) : NULL));
    }
    if (i % FOREIGN_ONE_IN == 0 && atomic_load(&foreign_next) < foreign_count) {
      long one = atomic_fetch_add(&foreign_next, 1);
      if (one < foreign_count) free(foreign[one]);
    }
  }
  pthread_barrier_wait(&together); /* what the end of a thread frees is not part of the work */
  return NULL;
}

static void born_unseen(long count) {
  void (*pause_recording)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "pytrace_pause");
  void (*resume_recording)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "pytrace_resume");
  if (pause_recording == NULL || resume_recording == NULL) die("the library is not loaded");
  foreign_count = count;
  pause_recording();
  foreign = malloc(sizeof *foreign * (size_t)(count + 1));
  for (long i = 0; i < count; i++) foreign[i] = malloc(SIZE);
  resume_recording();
}

/* Runs as many threads; one is the calling one. */
EXPORT void run(int threads, long operations, long foreign_frees, int is_serial) {
  pthread_t handles[THREADS_MAX];
  if (threads > THREADS_MAX) die("too many threads");
  serial = is_serial;
  rounds = operations / threads;
  born_unseen(foreign_frees);
  pthread_barrier_init(&together, NULL, (unsigned)threads);
  if (threads == 1) {
    work(NULL);
  } else {
    for (intptr_t i = 0; i < threads; i++)
      if (pthread_create(&handles[i], NULL, work, (void *)i) != 0) die("a thread does not start");
    for (int i = 0; i < threads; i++) pthread_join(handles[i], NULL);
  }
  if (atomic_load(&foreign_next) < foreign_count) die("foreign blocks were left");
  dprintf(1, "{\"size\": %d, \"most_live_bytes\": %llu, \"sites\": [", SIZE, (unsigned long long)live_most * SIZE);
  for (int i = 0; i < SITES; i++)
    dprintf(1, "%s{\"function\": \"%s_%d\", \"calls\": %llu, \"live_blocks\": %llu}", i == 0 ? "" : ", ",
            i < THREADS_MAX ? "born" : "resized", i % THREADS_MAX, (unsigned long long)calls[i],
            (unsigned long long)live[i]);
  dprintf(1, "]}\n");
}

/*
 * Threads that the interpreter has never seen use PyMem_Raw*, which is allowed without its lock; in the meantime recording can be paused
 * and resumed, over and over.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default"), noinline))

enum { THREADS = 8, KEPT = 32 };
static void *(*raw_malloc)(size_t), *(*raw_realloc)(void *, size_t);
static void (*raw_free)(void *);
static long rounds;
static atomic_int running;

EXPORT void *raw_block(size_t size) { return raw_malloc(size); }
EXPORT void *raw_resized(void *block, size_t size) { return raw_realloc(block, size); }

static void *work(void *unused) {
  void *kept[KEPT] = {0};
  for (long i = 0; rounds == 0 ? atomic_load(&running) == 0 : i < rounds; i++) {
    raw_free(kept[i % KEPT]);
    kept[i % KEPT] = raw_block(1511);
    if (i % 8 == 0) kept[i % KEPT] = raw_resized(kept[i % KEPT], 2477);
  }
  for (int i = 0; i < KEPT; i++) raw_free(kept[i]);
  return NULL;
}

static void start(pthread_t *threads) {
  raw_malloc = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "PyMem_RawMalloc");
  raw_realloc = (void *(*)(void *, size_t))dlsym(RTLD_DEFAULT, "PyMem_RawRealloc");
  raw_free = (void (*)(void *))dlsym(RTLD_DEFAULT, "PyMem_RawFree");
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, NULL);
}

static void join(pthread_t *threads) {
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

EXPORT void raw_threads(long count) {
  pthread_t threads[THREADS];
  rounds = count;
  start(threads);
  join(threads);
}

EXPORT void raw_threads_while_paused_and_resumed(long times) {
  pthread_t threads[THREADS];
  void (*pause_recording)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "pytrace_pause");
  void (*resume_recording)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "pytrace_resume");
  if (pause_recording == NULL || resume_recording == NULL) abort();
  start(threads);
  for (long i = 0; i < times; i++) {
    pause_recording();
    resume_recording();
  }
  atomic_store(&running, 1);
  join(threads);
}

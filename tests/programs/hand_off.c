/*
 * Six threads pass blocks to each other through shared slots: a block is allocated by one thread, resized by another and
 * freed by a third, with no lock in between. At the end nothing is left.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS = 6, ROUNDS = 50000, SLOTS = 61 };

static _Atomic(void *) fresh[SLOTS], used[SLOTS];

__attribute__((visibility("default"), noinline)) void *hand_off_malloc(void) { return malloc(1511); }
__attribute__((visibility("default"), noinline)) void *hand_off_realloc(void *block) { return realloc(block, 2477); }

static void pass_on(void *block, unsigned slot) {
  void *older = atomic_exchange(&fresh[slot], block);
  if (older == NULL) return;
  free(atomic_exchange(&used[slot], hand_off_realloc(older)));
}

static void *work(void *number) {
  unsigned state = 2654435761u * (unsigned)(size_t)number;
  for (int i = 0; i < ROUNDS; i++) {
    state = state * 1664525u + 1013904223u;
    pass_on(hand_off_malloc(), (state >> 16) % SLOTS);
  }
  return NULL;
}

__attribute__((visibility("default"))) void hand_off(void) {
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)(i + 1));
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < SLOTS; i++) {
    void *block = atomic_load(&fresh[i]);
    if (block != NULL) free(hand_off_realloc(block));
    free(atomic_load(&used[i]));
  }
}

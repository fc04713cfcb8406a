/*
 * Threads that allocate without Python's lock, and handlers of fork that allocate.
 *
 *   busy_start(N)     starts N threads
 *   busy_stop()       ends them; the number of blocks that they asked malloc for
 *   register_handlers handlers of fork that allocate before, and on both sides after it
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_t threads[64];
static int started;
static atomic_int must_end;
static atomic_long asked;

__attribute__((noinline)) void *busy_malloc(size_t size) {
  void *volatile block = malloc(size);
  return block;
}

static void *work(void *unused) {
  void *blocks[200];
  while (!atomic_load(&must_end)) {
    for (int i = 0; i < 200; i++) blocks[i] = busy_malloc(911);
    for (int i = 0; i < 200; i++) free(blocks[i]);
    atomic_fetch_add(&asked, 200);
    usleep(500);
  }
  return unused;
}

void busy_start(int count) {
  for (started = 0; started < count && started < 64; started++) pthread_create(&threads[started], NULL, work, NULL);
}

long busy_stop(void) {
  atomic_store(&must_end, 1);
  for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
  return atomic_load(&asked);
}

static void allocate(void) {
  for (size_t size = 16; size < 5000; size += 500) {
    void *volatile block = malloc(size);
    if (block != NULL) memset(block, 1, size);
    free(block);
  }
}

void register_handlers(void) { pthread_atfork(allocate, allocate, allocate); }

#ifdef REGISTER_WHEN_LOADED
__attribute__((constructor)) static void loaded(void) { register_handlers(); }
#endif

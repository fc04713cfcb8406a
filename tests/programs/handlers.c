/*
 * Threads allocate while another sends them signals as fast as it can; the handler allocates as well. Prints how many blocks the
 * threads and the handlers made. To be run with an allocator that handlers may call.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default"), noinline))

enum { THREADS = 8 };
static atomic_long by_threads, by_handlers, maps;
static atomic_int over;

EXPORT void *by_thread(size_t size) { return malloc(size); }
EXPORT void *by_handler(size_t size) { return malloc(size); }
EXPORT void *map_by_handler(size_t size) {
  return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void handle(int signal) {
  void *block = by_handler(1511);
  atomic_fetch_add(&by_handlers, 1);
  if (atomic_load(&by_handlers) % 16 == 0) {
    munmap(map_by_handler(8192), 8192);
    atomic_fetch_add(&maps, 1);
  }
  free(block);
}

static void *work(void *unused) {
  long made = 0;
  while (!atomic_load(&over)) {
    void *block = by_thread(89);
    block = realloc(block, 120 + made % 50);
    made++;
    free(block);
  }
  atomic_fetch_add(&by_threads, made);
  return NULL;
}

EXPORT void handlers(long signals) {
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
  pthread_t threads[THREADS];
  sigaction(SIGUSR2, &action, NULL);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, NULL);
  for (long i = 0; i < signals; i++) pthread_kill(threads[i % THREADS], SIGUSR2);
  atomic_store(&over, 1);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  dprintf(1, "%ld %ld %ld\n", atomic_load(&by_threads), atomic_load(&by_handlers), atomic_load(&maps));
}

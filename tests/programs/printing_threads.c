/* Threads that print through one FILE, whose lock is held while its buffer is made and grown, and that allocate beside it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default"), noinline))

enum { THREADS = 8 };
static long rounds;
static FILE *shared;

EXPORT void *beside_printing(size_t size) { return malloc(size); }

static void *work(void *number) {
  for (long i = 0; i < rounds; i++) {
    char *text = NULL;
    size_t length = 0;
    fprintf(shared, "%ld %.3f %s\n", i, (double)i / 7, (const char *)number);
    FILE *memory = open_memstream(&text, &length); /* allocates with its lock held */
    for (int j = 0; j < 20; j++) fprintf(memory, "%*d", 100 + j, j);
    fclose(memory);
    free(text);
    free(beside_printing(1511));
  }
  return NULL;
}

EXPORT void print_in_threads(long count) {
  pthread_t threads[THREADS];
  rounds = count;
  shared = fopen("/dev/null", "w");
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, "thread");
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  fclose(shared);
}

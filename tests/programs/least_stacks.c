/*
 * Threads on the smallest stacks that the system allows, and signal handlers on small alternate stacks: each allocates, of every kind,
 * with and without a stack that was seen before.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default"), noinline))

EXPORT void *on_small_stack(size_t size) { return malloc(size); }
EXPORT void *in_handler(size_t size) { return malloc(size); }

static void every_kind(void) {
  void *block = on_small_stack(1511);
  block = realloc(block, 3000);
  free(block);
  if (posix_memalign(&block, 64, 100) == 0) free(block);
  free(calloc(3, 5));
  block = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(block, 8192);
}

static void *work(void *rounds) {
  for (long i = 0; i < (long)rounds; i++) every_kind();
  return NULL;
}

static void handle(int signal) { free(in_handler(1511)); }

static void *raising(void *rounds) {
  size_t bytes = (size_t)sysconf(_SC_SIGSTKSZ);
  stack_t stack = {.ss_size = bytes, .ss_sp = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
  if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) != 0) abort();
  for (long i = 0; i < (long)rounds; i++) pthread_kill(pthread_self(), SIGUSR2); /* delivered before it returns */
  return NULL;
}

EXPORT void small_stacks(long threads, long rounds) {
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR2, &action, NULL);
  pthread_attr_t small;
  pthread_attr_init(&small);
  if (pthread_attr_setstacksize(&small, (size_t)sysconf(_SC_THREAD_STACK_MIN)) != 0) abort();
  for (long i = 0; i < threads; i++) {
    pthread_t thread;
    if (pthread_create(&thread, i % 2 == 0 ? &small : NULL, i % 2 == 0 ? work : raising, (void *)rounds) != 0) abort();
    pthread_join(thread, NULL);
  }
}

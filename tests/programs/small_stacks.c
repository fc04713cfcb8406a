/* Threads with the smallest stacks that pthreads give, which do nothing but allocate, all at the same time. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 64 };

static pthread_barrier_t all_are_there;

static void *allocate(void *calls)
{
    pthread_barrier_wait(&all_are_there);
    for (long i = 0; i < (long)calls; i++)
        free(malloc(100));
    return NULL;
}

/* Runs so many threads with so many calls each; the number of threads, or -1. */
int small_stacks(int threads, long calls)
{
    pthread_t started[MOST];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (threads > MOST || pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)))
        return -1;
    pthread_barrier_init(&all_are_there, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++)
        if (pthread_create(&started[i], &attributes, allocate, (void *)calls))
            abort();
    for (int i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
    return threads;
}

/* Another library that stands in front of malloc: counts calls, and says at the end how many. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned long count;

void *malloc(size_t size)
{
    static void *(*real)(size_t);
    if (!real)
        real = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
    return real(size);
}

__attribute__((destructor)) static void say(void)
{
    char line[64];
    snprintf(line, sizeof line, "counted %lu\n", count);
    if (write(2, line, strlen(line)) < 0)
        _exit(99);
}

/* A library that breaks each of the rules that tests/gates holds the preload library to, once. */
#include <stdlib.h>
#include <unistd.h>

static __thread int counted;
static int (*volatile chosen)(void);

__attribute__((noinline)) static int aborts(int n) {
    if (n > 3)
        abort();
    return n + 1;
}

__attribute__((noinline)) static int second(int n) {
    return aborts(n + 2) * 2;
}

int hook_ends(int n) {
    return second(n) + 1;
}

/* The calls in it are jumps. */
int hook_by_jumps(int n) {
    return hook_ends(n + 1);
}

__attribute__((noinline)) int door(int n) {
    return second(n) + 3;
}

int hook_by_door(int n) {
    return door(n) + 1;
}

__attribute__((noinline)) static int count(int n) {
    counted += n;
    return counted;
}

int hook_has_thread_local(int n) {
    return count(n) + 1;
}

__attribute__((noinline)) static int writes(int n) __asm__("_ZN3std2io5stdio5writeE");
__attribute__((noinline)) static int writes(int n) {
    static volatile int held;
    held = n;
    return held + n;
}

int hook_has_stream(int n) {
    return writes(n) + 1;
}

void *hook_allocates(int n) {
    char *block = malloc(n);
    if (block)
        block[0] = 1;
    return block;
}

int hook_calls_outside(void) {
    return getppid() + 1;
}

int hook_calls_through_pointer(void) {
    return chosen() + 1;
}

__attribute__((noinline)) static int large(int n) {
    volatile char room[3000];
    room[n] = 1;
    return room[n] + 1;
}

/* Neither function is too much, both are. */
int hook_is_deep(int n) {
    volatile char room[2000];
    room[n] = 1;
    return large(room[n]) + 1;
}

int hook_is_not_deep(int n) {
    return large(n) + 1;
}

int hook_recurses(int n) {
    return n > 1 ? hook_recurses(n - 1) * hook_recurses(n - 2) + n : 1;
}

int hook_is_harmless(int n) {
    switch (n) {
    case 0: return getpid() - 3;
    case 1: return getpid() + 7;
    case 2: return getpid() * 9;
    case 3: return getpid() - 2;
    case 4: return getpid() + 4;
    case 5: return getpid() / 8;
    }
    return 0;
}

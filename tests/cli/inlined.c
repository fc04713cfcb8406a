/* Prints the return address of a call in `inner`, as this file's own headers count it. `inner` is inlined into `middle`,
 * and that into `outer`. */
#include <stdio.h>

extern const char __executable_start[];

__attribute__((noinline)) const char *here(void)
{
    __asm__ volatile("" ::: "memory");
    return __builtin_return_address(0);
}

static inline __attribute__((always_inline)) const char *inner(void)
{
    const char *address = here(); /* line 15 */
    __asm__ volatile("" ::: "memory");
    return address;
}

static inline __attribute__((always_inline)) const char *middle(void)
{
    return inner(); /* line 22 */
}

__attribute__((noinline)) const char *outer(void)
{
    return middle(); /* line 27 */
}

int main(void)
{
    printf("%td\n", outer() - __executable_start);
    return 0;
}

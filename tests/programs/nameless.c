/* Allocates in a function that is in no symbol table (the linker leaves local ones out), only in debug information. */
#include <stdlib.h>

static void *__attribute__((noinline)) nameless(size_t size)
{
    return malloc(size);
}

void *allocate(size_t size)
{
    return nameless(size);
}

/* Passes blocks between the members of malloc's family, also those that not every allocator has. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  const char *others[] = {"free", "cfree", "free_sized", "free_aligned_sized"};
  for (int i = 0; i < 4000; i++) {
    char *block = i % 2 ? malloc(100) : reallocarray(NULL, 10, 10);
    block = reallocarray(block, 10, (size_t)(i % 500 + 1));
    if (block == NULL) return 1;
    block[i % 10] = 1;
    void (*drop)(void *, size_t, size_t) = (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, others[i % 4]);
    if (drop == NULL) /* nobody has it */
      free(block);
    else if (i % 4 == 3)
      drop(block, 16, (size_t)(10 * (i % 500 + 1)));
    else
      drop(block, (size_t)(10 * (i % 500 + 1)), 0);
  }
  puts("whole");
  return 0;
}

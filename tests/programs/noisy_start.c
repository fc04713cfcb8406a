/*
 * To preload: a library whose constructor allocates, fails to find symbols and asks why (which makes libc allocate), and frees. Nothing
 * of it is left when it ends.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void *kept[100];

__attribute__((constructor)) static void begin(void) {
  for (int i = 0; i < 100; i++) {
    dlsym(RTLD_NEXT, "a_function_that_does_not_exist");
    char *reason = strdup(dlerror());
    kept[i] = calloc(1, 100 + i);
    kept[i] = realloc(kept[i], malloc_usable_size(kept[i]) + strlen(reason));
    free(reason);
    dlerror(); /* nothing is left of it */
  }
}

__attribute__((destructor)) static void end(void) {
  for (int i = 0; i < 100; i++) free(kept[i]);
}

/* Allocates and frees in the last moments of a process, and has libc free what it keeps for itself. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void allocate(const char *name) {
  void *volatile block = malloc(100000);
  memset(block, 1, 100000);
  free(block);
  void *volatile kept = strdup(name);
  void (*free_all)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "__libc_freeres");
  if (free_all != NULL && strstr(name, "destructor") != NULL) free_all();
  if (write(1, kept, strlen(kept)) < 0) _exit(9);
}

static void handler(void) { allocate("late handler\n"); }

__attribute__((constructor)) static void loaded(void) { atexit(handler); }

__attribute__((destructor)) static void unloaded(void) { allocate("late destructor\n"); }

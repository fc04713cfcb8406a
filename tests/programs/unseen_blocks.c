/* Makes blocks while recording is paused, then frees, grows, shrinks and drops them while it is on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default"), noinline))

EXPORT void *unseen(size_t size) { return malloc(size); }

EXPORT void unseen_blocks(long count) {
  void (*pause_recording)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "pytrace_pause");
  void (*resume_recording)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "pytrace_resume");
  if (pause_recording == NULL || resume_recording == NULL) abort();
  void **blocks = calloc((size_t)count, sizeof *blocks);
  pause_recording();
  for (long i = 0; i < count; i++) blocks[i] = unseen(100 + i % 2000);
  resume_recording();
  for (long i = 0; i < count; i++) {
    if (i % 4 == 1) blocks[i] = realloc(blocks[i], 5000);
    if (i % 4 == 2) blocks[i] = realloc(blocks[i], 40);
    if (i % 4 == 3) blocks[i] = realloc(blocks[i], 0); /* frees it */
    free(blocks[i]);
  }
  free(blocks);
}

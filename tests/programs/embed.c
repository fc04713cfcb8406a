/*
 * embed LIBPYTHON local|global SCRIPT [TIMES]: opens a shared libpython at run time, as a plugin host does, and runs a script in
 * it; several times if told so, each in an interpreter that was started and ended for it.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *symbol(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (found == NULL) {
    fprintf(stderr, "embed: %s\n", dlerror());
    exit(2);
  }
  return found;
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  int times = argc > 4 ? atoi(argv[4]) : 1;
  void *library = dlopen(argv[1], RTLD_NOW | (strcmp(argv[2], "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL));
  if (library == NULL) {
    fprintf(stderr, "embed: %s\n", dlerror());
    return 2;
  }
  char command[4096];
  snprintf(command, sizeof command, "exec(compile(open('%s').read(), '%s', 'exec'))", argv[3], argv[3]);
  while (times-- > 0) {
    ((void (*)(void))symbol(library, "Py_Initialize"))();
    int failed = ((int (*)(const char *))symbol(library, "PyRun_SimpleString"))(command);
    int unclean = ((int (*)(void))symbol(library, "Py_FinalizeEx"))();
    if (failed || unclean) return 1;
  }
  return 0;
}

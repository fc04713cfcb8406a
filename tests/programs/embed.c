/*
 * embed LIBPYTHON local|global SCRIPT: opens a shared libpython at run time, as a plugin host does, and runs a script in it.
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
  if (argc != 4) return 2;
  void *library = dlopen(argv[1], RTLD_NOW | (strcmp(argv[2], "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL));
  if (library == NULL) {
    fprintf(stderr, "embed: %s\n", dlerror());
    return 2;
  }
  ((void (*)(void))symbol(library, "Py_Initialize"))();
  char command[4096];
  snprintf(command, sizeof command, "exec(compile(open('%s').read(), '%s', 'exec'))", argv[3], argv[3]);
  int failed = ((int (*)(const char *))symbol(library, "PyRun_SimpleString"))(command);
  int unclean = ((int (*)(void))symbol(library, "Py_FinalizeEx"))();
  return failed || unclean;
}

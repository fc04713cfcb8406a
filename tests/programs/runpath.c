/* Opens a library by its bare name, which is found only through the RUNPATH of this one: whoever stands between it and the loader breaks it. */
#include <dlfcn.h>
#include <stdio.h>

__attribute__((visibility("default"))) void open_neighbour(void) {
  void *library = dlopen("libneighbour_of_runpath.so", RTLD_NOW);
  if (library == NULL) {
    dprintf(1, "%s\n", dlerror());
    return;
  }
  dprintf(1, "opened %d\n", dlsym(library, "give") != NULL);
  dlclose(library);
}

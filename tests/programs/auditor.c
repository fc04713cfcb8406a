/* For LD_AUDIT: a library that the loader tells of everything, in a namespace with a libc of its own. */
#define _GNU_SOURCE
#include <link.h>
#include <stdlib.h>

unsigned int la_version(unsigned int version) {
  free(malloc(100));
  return version;
}

unsigned int la_objopen(struct link_map *map, Lmid_t id, uintptr_t *cookie) {
  free(malloc(100));
  return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}

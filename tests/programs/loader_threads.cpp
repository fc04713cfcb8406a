// Threads that open and close libraries, threads that throw exceptions through frames that allocate, threads that come and go, and
// threads that allocate, all at once: what takes the loader's lock, or the unwinder's, meets what is in the allocator.
#include <dlfcn.h>
#include <pthread.h>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default"), noinline))

EXPORT void *beside_the_loader(std::size_t size) {
  void *block = std::malloc(size);
  __asm__ volatile("" ::: "memory");
  return block;
}

namespace {
void fail(const char *what) {
  std::fprintf(stderr, "loader_threads: %s\n", what);
  std::abort();
}

void open_and_close(std::string folder, int first, int count, long rounds) {
  for (long round = 0; round < rounds; round++) {
    for (int i = first; i < first + count; i++) {
      void *library = dlopen((folder + "/opened_" + std::to_string(i) + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
      if (library == nullptr) fail(dlerror());
      auto enter = reinterpret_cast<void (*)(std::size_t)>(dlsym(library, "enter"));
      enter(3000); // allocates in code that is about to be unmapped
      dlclose(library);
    }
  }
}

__attribute__((noinline)) long throw_through(int depth, const std::string &text) {
  auto held = std::make_unique<std::string>(text + std::string(static_cast<std::size_t>(depth), 'x'));
  if (depth == 0) throw std::runtime_error(*held);
  return throw_through(depth - 1, *held) + static_cast<long>(held->size());
}

void throw_often(long rounds) {
  for (long i = 0; i < rounds; i++) {
    try {
      throw_through(static_cast<int>(i % 20), "thrown through frames that allocate");
      fail("nothing was thrown");
    } catch (const std::runtime_error &error) {
      if (error.what()[0] != 't') fail("another exception was caught");
    }
  }
}

void allocate(long rounds) {
  void *kept[64] = {};
  for (long i = 0; i < rounds; i++) {
    void *&place = kept[i % 64];
    std::free(place);
    place = beside_the_loader(1511);
  }
  for (void *block : kept) std::free(block);
}

void start_and_join(long rounds) {
  for (long i = 0; i < rounds; i++) std::thread([] { std::free(beside_the_loader(1511)); }).join();
}
}  // namespace

// Rounds of: opening each library, throwing, allocating (in each of four threads), starting a thread.
EXPORT void loader_threads(const char *folder, int libraries, long opens, long throws, long allocations, long starts) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; i++) threads.emplace_back(open_and_close, folder, i * libraries / 2, libraries / 2, opens);
  for (int i = 0; i < 2; i++) threads.emplace_back(throw_often, throws);
  for (int i = 0; i < 4; i++) threads.emplace_back(allocate, allocations);
  threads.emplace_back(start_and_join, starts);
  for (std::thread &thread : threads) thread.join();
}

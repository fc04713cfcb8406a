// Threads that allocate first and last: in their first instruction, in destructors of thread-locals, in those of pthread keys (over and
// over, as the system asks), after everything that a thread has of its own is gone; blocks of one thread that another frees.
#include <dlfcn.h>
#include <pthread.h>
#include <cstdio>
#include <cstdlib>

#define EXPORT extern "C" __attribute__((visibility("default"), noinline))
#define SITE(name)                             \
  EXPORT void *name(std::size_t size) {        \
    void *block = std::malloc(size);           \
    __asm__ volatile("" ::: "memory");         \
    return block;                              \
  }
SITE(first_act)
SITE(in_thread_local)
SITE(in_key)
SITE(handed_over)

namespace {
enum { AT_ONCE = 16, PER_FLUSH = 256 };
long at_the_end; // blocks made and freed by each destructor, beside one that stays

struct Last {
  long touched = 0;
  ~Last() {
    for (long i = 0; i < at_the_end; i++) std::free(in_thread_local(1511));
    in_thread_local(1511);
  }
};
thread_local Last last;
pthread_key_t key;

void end_of_key(void *round) {
  long number = reinterpret_cast<long>(round);
  for (long i = 0; i < at_the_end; i++) std::free(in_key(1511));
  if (number > 1) pthread_setspecific(key, reinterpret_cast<void *>(number - 1));
}

void *live(void *block) {
  std::free(first_act(1511));
  std::free(block); // of the thread that started us
  last.touched++;
  pthread_setspecific(key, reinterpret_cast<void *>(3));
  return handed_over(1511);
}

void in_batches(long threads, void *(*work)(void *), void *(*argument)(std::size_t)) {
  auto flush = reinterpret_cast<void (*)()>(dlsym(RTLD_DEFAULT, "pytrace_flush"));
  for (long done = 0; done < threads;) {
    if (done % PER_FLUSH == 0 && flush != nullptr) flush(); // what ended threads had is free again after it
    pthread_t all[AT_ONCE];
    int count = 0;
    for (; count < AT_ONCE && done < threads; count++, done++)
      if (pthread_create(&all[count], nullptr, work, argument == nullptr ? nullptr : argument(1511)) != 0) std::abort();
    for (int i = 0; i < count; i++) {
      void *block;
      pthread_join(all[i], &block);
      std::free(block);
    }
  }
}
}  // namespace

// So many threads, each of whose destructors makes so many blocks.
EXPORT void thread_ends(long threads, long blocks) {
  at_the_end = blocks;
  if (pthread_key_create(&key, end_of_key) != 0) std::abort();
  in_batches(threads, live, handed_over);
  pthread_key_delete(key);
}

// So many threads whose first act, and only one, is to allocate.
EXPORT void first_acts(long threads) {
  in_batches(threads, [](void *) { return first_act(1511); }, nullptr);
}

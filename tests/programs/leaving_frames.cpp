// Every way of leaving frames that allocate without returning from them: exceptions (also through a C callback), longjmp, the end of a
// thread by pthread_exit and by cancellation at points where it waits.
#include <pthread.h>
#include <setjmp.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#define EXPORT extern "C" __attribute__((visibility("default"), noinline))

EXPORT void *within_frames(std::size_t size) {
  void *block = std::malloc(size);
  __asm__ volatile("" ::: "memory");
  return block;
}

namespace {
struct Held { // frees while frames are left
  void *block = within_frames(1511);
  ~Held() { std::free(block); }
};

int throwing_comparison(const void *, const void *) {
  Held held;
  throw std::runtime_error("thrown through qsort");
}

jmp_buf back;
__attribute__((noinline)) void jump(int depth) {
  void *block = within_frames(1511);
  std::free(block);
  if (depth == 0) longjmp(back, 1);
  jump(depth - 1);
  __asm__ volatile("" ::: "memory");
}

void leave_thread(int depth) {
  Held held;
  if (depth == 0) pthread_exit(nullptr);
  leave_thread(depth - 1);
  __asm__ volatile("" ::: "memory");
}

void *exiting(void *) {
  leave_thread(5);
  return nullptr;
}

int ends[2];
void *waiting(void *) {
  Held held;
  char byte;
  for (;;) {
    std::free(within_frames(1511));
    pthread_testcancel();
    if (read(ends[0], &byte, 1) == 1) std::free(within_frames(1511));
  }
}
}  // namespace

// Prints how many blocks were made.
EXPORT void leave_frames(long rounds) {
  static long made;
  for (long i = 0; i < rounds; i++) {
    int numbers[2] = {2, 1};
    try {
      std::qsort(numbers, 2, sizeof numbers[0], throwing_comparison);
      std::abort();
    } catch (const std::runtime_error &) {
      made += 1;
    }
    if (setjmp(back) == 0) jump(10);
    made += 11;
    pthread_t thread;
    if (pthread_create(&thread, nullptr, exiting, nullptr) != 0) std::abort();
    pthread_join(thread, nullptr);
    made += 6;
    if (pipe(ends) != 0 || pthread_create(&thread, nullptr, waiting, nullptr) != 0) std::abort();
    if (i % 2 == 0) usleep(200);
    pthread_cancel(thread);
    void *result;
    pthread_join(thread, &result);
    if (result != PTHREAD_CANCELED) std::abort();
    close(ends[0]);
    close(ends[1]);
  }
  std::printf("%ld\n", made);
  std::fflush(stdout);
}

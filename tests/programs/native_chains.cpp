// The same in C++: methods, templates, a callback from the standard library, operator new in another library, an exception.
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <vector>

#define NOINLINE __attribute__((noinline))

extern "C" NOINLINE __attribute__((visibility("default"))) void at_allocation(size_t size) { __asm__ volatile("" ::"r"(size)); }

static void *volatile kept[64];
static int kept_count;

namespace chains {

struct Base {
  virtual ~Base() = default;
  virtual void run(size_t size) = 0;
};

struct Derived : Base {
  NOINLINE void run(size_t size) override {
    at_allocation(size);
    kept[kept_count++ % 64] = std::malloc(size);
  }
};

template <typename T> NOINLINE void through(T &target, size_t size) {
  target.run(size);
  __asm__ volatile("" ::: "memory");
}

NOINLINE void with_new(size_t size) {
  at_allocation(size);
  kept[kept_count++ % 64] = ::operator new(size);
}

NOINLINE void unwinding(Base &target, size_t size) {
  try {
    throw std::runtime_error("unwound");
  } catch (const std::exception &) {
    through(target, size);
  }
}

}  // namespace chains

extern "C" __attribute__((visibility("default"))) void cpp_virtual(size_t size) {
  chains::Derived derived;
  chains::Base &base = derived;
  chains::through(base, size);
}

extern "C" __attribute__((visibility("default"))) void cpp_new(size_t size) {
  chains::with_new(size);
  __asm__ volatile("" ::: "memory");
}

extern "C" __attribute__((visibility("default"))) void cpp_sorted(size_t size) {
  std::vector<int> values{3, 1};
  bool done = false;
  std::function<bool(int, int)> before = [&](int one, int other) {
    if (!done) {
      done = true;
      chains::with_new(size);
    }
    return one < other;
  };
  std::sort(values.begin(), values.end(), before);
}

extern "C" __attribute__((visibility("default"))) void cpp_unwinding(size_t size) {
  chains::Derived derived;
  chains::unwinding(derived, size);
}

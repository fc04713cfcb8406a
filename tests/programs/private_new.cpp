// A library with operators new and delete of its own, which put a header before each block: strings of libstdc++'s cross its boundary.
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

namespace {
constexpr std::size_t HEADER_BYTES = 16;
long made, dropped;

void *with_header(std::size_t size) {
  auto *header = static_cast<std::size_t *>(std::malloc(size + HEADER_BYTES));
  if (header == nullptr) throw std::bad_alloc();
  header[0] = 0x6f776e6e6577;
  made++;
  return reinterpret_cast<char *>(header) + HEADER_BYTES;
}

void without_header(void *block) {
  if (block == nullptr) return;
  auto *header = reinterpret_cast<std::size_t *>(static_cast<char *>(block) - HEADER_BYTES);
  if (header[0] != 0x6f776e6e6577) std::abort();
  header[0] = 0;
  dropped++;
  std::free(header);
}
}  // namespace

void *operator new(std::size_t size) { return with_header(size); }
void *operator new[](std::size_t size) { return with_header(size); }
void operator delete(void *block) noexcept { without_header(block); }
void operator delete[](void *block) noexcept { without_header(block); }
void operator delete(void *block, std::size_t) noexcept { without_header(block); }
void operator delete[](void *block, std::size_t) noexcept { without_header(block); }

extern "C" void cross(long rounds) {
  std::vector<std::string> texts;
  for (long i = 0; i < rounds; i++) {
    texts.push_back(std::string(40 + i % 100, 'x'));
    texts.back().append(100, 'y');
    if (texts.size() > 50) texts.erase(texts.begin(), texts.begin() + 40);
  }
  std::vector<std::string>().swap(texts);
  std::printf("%ld %ld\n", made, dropped);
  std::fflush(stdout);
}

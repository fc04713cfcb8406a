/*
 * Functions that ask for memory and that no unwinder can leave: without a rule, with a rule that lies, made at run time; with
 * whatever in the frame pointer and on the stack.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default"), noinline))

/* NAME(size, garbage): calls malloc(size) with garbage in rbp, rbx and three words of the stack. */
#define STRANGE(name, before, within, after) \
  __asm__(".text\n.globl " #name "\n.type " #name ",@function\n" #name ":\n" before \
          "push %rbp\npush %rbx\nmov %rsi, %rbp\nmov %rsi, %rbx\npush %rsi\npush %rsi\npush %rsi\n" within \
          "call malloc@PLT\nadd $24, %rsp\npop %rbx\npop %rbp\nret\n" after ".size " #name ", .-" #name "\n"); \
  void *name(size_t size, uintptr_t garbage);

STRANGE(without_rule, "", "", "")
STRANGE(with_frame_pointer_rule, ".cfi_startproc\n", ".cfi_def_cfa rbp, 16\n.cfi_offset rbp, -16\n", ".cfi_endproc\n")
STRANGE(with_far_rule, ".cfi_startproc\n", ".cfi_def_cfa rsp, 1073741824\n", ".cfi_endproc\n")
STRANGE(with_backward_rule, ".cfi_startproc\n", ".cfi_def_cfa rsp, -64\n", ".cfi_endproc\n")
STRANGE(with_narrow_rule, ".cfi_startproc\n", ".cfi_def_cfa rsp, 8\n", ".cfi_endproc\n")

typedef void *strange(size_t, uintptr_t);

/* A copy of the first in memory of its own, as a just-in-time compiler makes it: the call goes by an address in r11. */
static strange *made_at_run_time(void) {
  static const unsigned char code[] = {0x55, 0x53, 0x48, 0x89, 0xf5, 0x48, 0x89, 0xf3, 0x56, 0x56, 0x56, 0x49, 0xbb};
  static const unsigned char rest[] = {0x41, 0xff, 0xd3, 0x48, 0x83, 0xc4, 0x18, 0x5b, 0x5d, 0xc3};
  unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void *(*target)(size_t) = malloc;
  if (page == MAP_FAILED) abort();
  memcpy(page, code, sizeof code);
  memcpy(page + sizeof code, &target, sizeof target);
  memcpy(page + sizeof code + sizeof target, rest, sizeof rest);
  return (strange *)page;
}

static uint64_t state = 88172645463325252u;

static uintptr_t garbage(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  switch (state >> 61) {
    case 0: return 0;
    case 1: return here + (state >> 40) % 4096;                 /* near, not aligned */
    case 2: return (here + (state >> 40) % 65536) & ~(uintptr_t)15; /* on the stack, or behind it */
    case 3: return here - (state >> 40) % 65536;
    case 4: return UINTPTR_MAX - (state & 63);
    case 5: return (uintptr_t)garbage + (state & 255);          /* code */
    default: return state;
  }
}

EXPORT long strange_frames(long rounds) {
  strange *all[] = {without_rule,       with_frame_pointer_rule, with_far_rule, with_backward_rule,
                    with_narrow_rule, made_at_run_time()};
  for (long i = 0; i < rounds; i++) {
    void *block = all[i % 6](1511, garbage());
    memset(block, 1, 1511);
    free(block);
  }
  return rounds;
}

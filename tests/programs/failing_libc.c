/* A preloaded library that makes one call of libpytrace's to libc fail: the FAIL_NTH of them (from 1), with errno FAIL_WITH.
 *
 * Only those that may end in a system call are counted, over all processes of the command, in the file FAIL_COUNT, which
 * holds 8 zero bytes at the start: its first number is the count. Whose call it is tells the return address. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static uintptr_t start, end;
static uint32_t *count;
static uint32_t nth;
static int error;

static int look_at(struct dl_phdr_info *object, size_t size, void *unused)
{
    if (!strstr(object->dlpi_name, "libpytrace"))
        return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
            start = object->dlpi_addr + part->p_vaddr;
            end = start + part->p_memsz;
        }
    }
    return 1;
}

static bool counting(void)
{
    static bool begun;
    if (!begun) {
        begun = true;
        const char *path = getenv("FAIL_COUNT");
        int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
        if (fd >= 0) {
            void *shared = (void *)syscall(SYS_mmap, NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            syscall(SYS_close, fd);
            nth = (uint32_t)atoi(getenv("FAIL_NTH"));
            error = atoi(getenv("FAIL_WITH"));
            dl_iterate_phdr(look_at, NULL);
            count = shared == MAP_FAILED ? NULL : shared;
        }
    }
    return count != NULL;
}

static bool fails(void *caller)
{
    uintptr_t address = (uintptr_t)caller;
    if (!counting() || address < start || address >= end)
        return false;
    if (__atomic_add_fetch(count, 1, __ATOMIC_RELAXED) != nth)
        return false;
    errno = error;
    return true;
}

/* `result name(parameters)`: fails with `failure`, else is what libc's gives for `arguments`. */
#define CALL(result, name, parameters, arguments, failure)            \
    result name parameters                                            \
    {                                                                 \
        if (fails(__builtin_return_address(0)))                       \
            return failure;                                           \
        static result(*real) parameters;                              \
        if (!real)                                                    \
            real = (result(*) parameters)dlsym(RTLD_NEXT, #name);     \
        return real arguments;                                        \
    }

CALL(ssize_t, read, (int fd, void *to, size_t size), (fd, to, size), -1)
CALL(ssize_t, write, (int fd, const void *from, size_t size), (fd, from, size), -1)
CALL(ssize_t, writev, (int fd, const struct iovec *parts, int number), (fd, parts, number), -1)
CALL(int, close, (int fd), (fd), -1)
CALL(int, fstat64, (int fd, struct stat64 *to), (fd, to), -1)
CALL(int, stat64, (const char *path, struct stat64 *to), (path, to), -1)
CALL(int, statx, (int fd, const char *path, int flags, unsigned mask, struct statx *to), (fd, path, flags, mask, to), -1)
CALL(off64_t, lseek64, (int fd, off64_t offset, int from), (fd, offset, from), -1)
CALL(char *, realpath, (const char *path, char *to), (path, to), NULL)
CALL(ssize_t, readlink, (const char *path, char *to, size_t size), (path, to, size), -1)
CALL(char *, getcwd, (char *to, size_t size), (to, size), NULL)
CALL(int, setenv, (const char *name, const char *value, int replace), (name, value, replace), -1)
CALL(int, pthread_create, (pthread_t * thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument),
     (thread, attributes, body, argument), error)
CALL(int, pthread_sigmask, (int how, const sigset_t *set, sigset_t *old), (how, set, old), error)

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, unsigned) : 0;
    va_end(rest);
    if (fails(__builtin_return_address(0)))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* Of files alone: libpytrace passes the program's own mappings on to here, and the program makes anonymous ones only. */
void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset)
{
    if (fd >= 0 && fails(__builtin_return_address(0)))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

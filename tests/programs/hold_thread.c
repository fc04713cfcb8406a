/* Holds one thread of a process, whose others run on, until this program is ended: `hold_thread TID WHERE`.
 *
 * WHERE is `now`, or `writing`: then the thread is held in its next write of more than 8 bytes, before it is made.
 * Prints "held" when it is. Exit status 3: the thread ended before it could be held. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

static void wait_for_stop(pid_t thread)
{
    int status;
    if (waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status))
        exit(3);
}

static int is_writing(pid_t thread)
{
    struct ptrace_syscall_info call;
    return ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call) > 0 && call.op == PTRACE_SYSCALL_INFO_ENTRY &&
           call.entry.nr == SYS_write && call.entry.args[2] > 8;
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    pid_t thread = atoi(arguments[1]);
    if (ptrace(PTRACE_SEIZE, thread, 0, PTRACE_O_TRACESYSGOOD) || ptrace(PTRACE_INTERRUPT, thread, 0, 0)) {
        perror("ptrace");
        return 2;
    }
    wait_for_stop(thread);
    if (!strcmp(arguments[2], "writing"))
        do {
            ptrace(PTRACE_SYSCALL, thread, 0, 0);
            wait_for_stop(thread);
        } while (!is_writing(thread));
    puts("held");
    fflush(stdout);
    for (;;)
        pause(); /* the thread goes on when its tracer is gone */
}

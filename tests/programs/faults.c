/* Runs a command and makes one system call of a library fail: `faults LIBRARY NTH KIND REPORT COMMAND…`.
 *
 * A call is the library's when its `syscall` instruction lies in the library's code. The NTH of them, counted from 1 over
 * all threads and processes of the command, is not made and returns -KIND (a number of <errno.h>); KIND `short` makes it
 * read or write half of what it was asked for. REPORT gets a line "COUNT NUMBER": calls seen, and the number of the one
 * that failed (-1: none). The exit status is the command's; 128 + signal where it was killed. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <stddef.h>
#include <unistd.h>

#include <linux/ptrace.h>

enum { MOST_TASKS = 4096 };

/* One thread that is traced: where the library's code lies in it (0: not seen yet), and the result to put in. */
struct task {
    pid_t id;
    unsigned long start, end;
    long result;
};

static struct task tasks[MOST_TASKS];
static const char *library;
static long nth, failed_call = -1, seen;
static int error; /* 0: short */

static void must(bool held, const char *what)
{
    if (!held) {
        perror(what);
        exit(125);
    }
}

static struct task *task_of(pid_t id)
{
    struct task *empty = NULL;
    for (int i = 0; i < MOST_TASKS; i++) {
        if (tasks[i].id == id)
            return &tasks[i];
        if (!tasks[i].id && !empty)
            empty = &tasks[i];
    }
    must(empty != NULL, "too many threads");
    *empty = (struct task){ .id = id };
    return empty;
}

/* The library's executable mapping, once it is there. */
static void find_library(struct task *task)
{
    char path[64], line[8192], permissions[8];
    snprintf(path, sizeof path, "/proc/%d/maps", task->id);
    FILE *maps = fopen(path, "r");
    if (!maps)
        return;
    while (fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx %7s", &start, &end, permissions) == 3 && strchr(permissions, 'x') &&
            strstr(line, library)) {
            task->start = start;
            task->end = end;
        }
    }
    fclose(maps);
}

static bool is_short_able(unsigned long number)
{
    return number == SYS_read || number == SYS_write || number == SYS_pread64;
}

static void at_entry(struct task *task, const struct ptrace_syscall_info *call)
{
    if (!task->start)
        find_library(task);
    if (call->instruction_pointer < task->start || call->instruction_pointer > task->end)
        return;
    unsigned long number = call->entry.nr;
    /* Passed on for the program: not the library's own. */
    if (number == SYS_exit_group || number == SYS_kill || number == SYS_execve || number == SYS_execveat)
        return;
    if (!error && (!is_short_able(number) || call->entry.args[2] < 2))
        return;
    if (++seen != nth)
        return;
    failed_call = (long)number;
    if (!error) {
        ptrace(PTRACE_POKEUSER, task->id, offsetof(struct user_regs_struct, rdx), call->entry.args[2] / 2);
        return;
    }
    /* A number that there is none of: nothing happens, and the result is ours to give. */
    ptrace(PTRACE_POKEUSER, task->id, offsetof(struct user_regs_struct, orig_rax), -1L);
    task->result = -error;
}

static void at_stop(struct task *task)
{
    struct ptrace_syscall_info call;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, task->id, sizeof call, &call) <= 0)
        return;
    if (call.op == PTRACE_SYSCALL_INFO_ENTRY) {
        at_entry(task, &call);
    } else if (call.op == PTRACE_SYSCALL_INFO_EXIT && task->result) {
        ptrace(PTRACE_POKEUSER, task->id, offsetof(struct user_regs_struct, rax), task->result);
        task->result = 0;
    }
}

int main(int count, char **arguments)
{
    must(count > 5, "usage: faults LIBRARY NTH KIND REPORT COMMAND...");
    library = arguments[1];
    nth = atol(arguments[2]);
    error = strcmp(arguments[3], "short") ? atoi(arguments[3]) : 0;

    int gate[2];
    must(pipe(gate) == 0, "pipe");
    pid_t root = fork();
    must(root >= 0, "fork");
    if (root == 0) {
        char byte;
        close(gate[1]);
        must(read(gate[0], &byte, 1) == 1, "read");
        close(gate[0]);
        execvp(arguments[5], arguments + 5);
        _exit(127);
    }
    close(gate[0]);
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    must(ptrace(PTRACE_SEIZE, root, 0, options) == 0, "PTRACE_SEIZE");
    must(ptrace(PTRACE_INTERRUPT, root, 0, 0) == 0, "PTRACE_INTERRUPT");
    must(write(gate[1], "x", 1) == 1, "write");
    close(gate[1]);

    int status, ended = 0;
    pid_t id;
    while ((id = waitpid(-1, &status, __WALL)) > 0) {
        struct task *task = task_of(id);
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (id == root)
                ended = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            task->id = 0;
            continue;
        }
        int signal = WSTOPSIG(status), event = status >> 16;
        if (signal == (SIGTRAP | 0x80)) {
            at_stop(task);
            signal = 0;
        } else if (event == PTRACE_EVENT_EXEC) {
            *task = (struct task){ .id = id };
            signal = 0;
        } else if (event) {
            signal = 0;
        }
        ptrace(PTRACE_SYSCALL, id, 0, signal);
    }
    FILE *report = fopen(arguments[4], "w");
    must(report != NULL, arguments[4]);
    fprintf(report, "%ld %ld\n", seen, failed_call);
    fclose(report);
    return ended;
}

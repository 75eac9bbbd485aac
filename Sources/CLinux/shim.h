#ifndef LOCKSTEP_CLINUX_SHIM_H
#define LOCKSTEP_CLINUX_SHIM_H

#include <fcntl.h>
#include <malloc.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What follows exists because Swift does not see functions with a variable number of arguments, nor those of GNU alone. */

/* pipe2(2) with O_CLOEXEC: no process that another thread starts at this moment inherits an end. 0 on success. */
static inline int lockstep_pipe(int ends[2]) { return (int)syscall(SYS_pipe2, ends, O_CLOEXEC); }

/* Of glibc since 2.34, which declares it with _GNU_SOURCE. */
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

/* Has the child that is started keep standard input, output and error alone. 0 on success. */
static inline int lockstep_close_all_but_standard(posix_spawn_file_actions_t *actions) {
    return posix_spawn_file_actions_addclosefrom_np(actions, 3);
}

/* Whether the kernel may dump this process, and whether others of its user may look into it. 0 on success. */
static inline int lockstep_set_dumpable(int value) { return prctl(PR_SET_DUMPABLE, value, 0, 0, 0); }

static inline int lockstep_dumpable(void) { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }

/* Bytes from which a block is a mapping of its own, and bytes that stay free at the end of the heap. 0 on success. */
static inline int lockstep_keep_heap(int mapped, int slack) {
    return mallopt(M_MMAP_THRESHOLD, mapped) == 1 && mallopt(M_TRIM_THRESHOLD, slack) == 1 ? 0 : -1;
}

/* sched_setattr(2); of a name of its own, since glibc declares it or not. */
struct lockstep_sched_attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t niceness;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* The calling thread's time slice in nanoseconds; 0 where the kernel knows none (before Linux 6.12), or on failure. */
static inline uint64_t lockstep_slice(void) {
    struct lockstep_sched_attributes attributes = {0};
    return syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) == 0 ? attributes.runtime : 0;
}

/* Sets it, and leaves policy and niceness as they are. 0 on success. */
static inline int lockstep_set_slice(uint64_t nanoseconds) {
    struct lockstep_sched_attributes attributes = {0};
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return -1;
    attributes.size = sizeof attributes;
    attributes.flags = 0;
    attributes.runtime = nanoseconds;
    return (int)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

/* Not for want of a name in Swift, but of an instruction: has the processor fetch memory so far from a place, which may be
   anywhere: nothing is read. */
static inline void lockstep_prefetch(const void *place, long distance) {
    __builtin_prefetch((const void *)((uintptr_t)place + (uintptr_t)distance));
}

#endif

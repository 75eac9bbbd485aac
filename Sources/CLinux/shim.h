#ifndef LOCKSTEP_CLINUX_SHIM_H
#define LOCKSTEP_CLINUX_SHIM_H

#include <sys/prctl.h>

/* What follows exists because Swift does not see functions with a variable number of arguments. */

/* Whether the kernel may dump this process, and whether others of its user may look into it. 0 on success. */
static inline int lockstep_set_dumpable(int value) { return prctl(PR_SET_DUMPABLE, value, 0, 0, 0); }

static inline int lockstep_dumpable(void) { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }

#endif

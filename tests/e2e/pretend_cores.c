// Preloaded, makes a process believe in PRETEND_CORES processors, so that what
// sizes itself by them does.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int get_nprocs(void) { return atoi(getenv("PRETEND_CORES")); }
int get_nprocs_conf(void) { return get_nprocs(); }

long sysconf(int name) {
  if (name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF) {
    return get_nprocs();
  }
  long (*real)(int) = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
  return real(name);
}

int sched_getaffinity(pid_t process, size_t bytes, cpu_set_t *set) {
  (void)process;
  if ((size_t)get_nprocs() > 8 * bytes) {
    errno = EINVAL;  // too small a set: callers try a larger one
    return -1;
  }
  memset(set, 0, bytes);
  for (int i = 0; i < get_nprocs(); ++i) CPU_SET_S(i, bytes, set);
  return 0;
}

int pthread_getaffinity_np(unsigned long thread, size_t bytes, cpu_set_t *set) {
  (void)thread;
  return sched_getaffinity(0, bytes, set) == 0 ? 0 : errno;
}

/* Preloaded, it makes a process believe that the machine has CORES cores. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

int get_nprocs(void) { return CORES; }
int get_nprocs_conf(void) { return CORES; }

long sysconf(int name) {
  if (name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF) {
    return CORES;
  }
  return ((long (*)(int))dlsym(RTLD_NEXT, "sysconf"))(name);
}

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t* set) {
  if (8 * size < CORES) {
    errno = EINVAL; /* as the kernel says it */
    return -1;
  }
  memset(set, 0, size);
  for (size_t core = 0; core < CORES; ++core) {
    CPU_SET_S(core, size, set);
  }
  return 0;
}

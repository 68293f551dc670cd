"""The system calls that a program in the jail has: those that CPython and its numerical libraries need. To it there are no others.

A list of what is allowed, so that what a later kernel adds is refused too. Needs libseccomp, which knows the numbers of each architecture.
"""

import errno
import os
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

_FILES = """access chdir chmod close close_range copy_file_range dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2
epoll_wait eventfd eventfd2 faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fcntl fdatasync flock fstat fstatfs fsync
ftruncate getcwd getdents getdents64 link linkat lseek lstat mkdir mkdirat newfstatat open openat pipe pipe2 poll ppoll pread64
preadv preadv2 pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat renameat2 rmdir select sendfile
stat statfs statx symlink symlinkat tee truncate umask unlink unlinkat utime utimensat utimes write writev"""
_MEMORY = "brk madvise mincore mlock mmap mprotect mremap msync munlock munmap membarrier"
_PROCESSES = """alarm arch_prctl clock_getres clock_gettime clock_nanosleep execve exit exit_group fork futex futex_waitv get_robust_list
getcpu getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit
getrusage getsid gettid gettimeofday getuid kill nanosleep pause prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending
rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_getaffinity sched_getparam sched_getscheduler sched_yield set_robust_list
set_tid_address setitimer setpgid setrlimit setsid sigaltstack sysinfo tgkill time times uname vfork wait4 waitid"""
_BETWEEN_PROCESSES = "getpeername getsockname getsockopt recvfrom recvmsg sendmsg sendto setsockopt shutdown"
"""Of the pairs of `socketpair`, which lead nowhere but into the jail; there is no `socket` of any family, no `connect`, no `bind`."""

_NEW_NAMESPACES = 0x7E020000
"""Each CLONE_NEW flag of clone(2). Its successor clone3, whose flags no filter can read, is not there, and glibc does without."""

_A_THREAD = 0x10000
"""CLONE_THREAD."""

_ASKED_OF_DEVICES = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX. No TIOCSTI, no TIOCLINUX."""

_AF_UNIX = 1


@cache
def filter_program() -> bytes:
    """The filter for this architecture, as the kernel takes it (a classic BPF program).

    ImportError: pyseccomp is not installed. RuntimeError: libseccomp is not.
    """
    pyseccomp = import_module("pyseccomp")  # of an extra; it looks for its library while it is imported, and has no types
    made = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.ENOSYS))
    for name in f"{_FILES} {_MEMORY} {_PROCESSES} {_BETWEEN_PROCESSES}".split():
        if _is_known(pyseccomp, name):
            made.add_rule(pyseccomp.ALLOW, name)
    made.add_rule(pyseccomp.ALLOW, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _NEW_NAMESPACES, 0))
    made.add_rule(pyseccomp.ALLOW, "socketpair", pyseccomp.Arg(0, pyseccomp.EQ, _AF_UNIX))
    for request in _ASKED_OF_DEVICES:
        made.add_rule(pyseccomp.ALLOW, "ioctl", pyseccomp.Arg(1, pyseccomp.EQ, request))
    return _exported(made)


@cache
def threads_filter_program() -> bytes:
    """What is laid over that filter before code of a session runs: it has threads, and no other process and program. So what a session
    may use together is what its one process may, and nothing of it goes on unseen. Nobody's bounds but its own can be set.

    ImportError and RuntimeError as with `filter_program`.
    """
    pyseccomp = import_module("pyseccomp")
    made = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in ("fork", "vfork", "execve", "execveat"):
        if _is_known(pyseccomp, name):
            made.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
    made.add_rule(pyseccomp.ERRNO(errno.EPERM), "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _A_THREAD, 0))
    made.add_rule(pyseccomp.ERRNO(errno.EPERM), "prlimit64", pyseccomp.Arg(0, pyseccomp.NE, 0))
    return _exported(made)


def _exported(made: Any) -> bytes:
    reading, writing = os.pipe()
    with open(reading, "rb") as program, open(writing, "wb") as into:  # less than the 64 KiB that a pipe holds
        made.export_bpf(into)
        into.close()
        return program.read()


def _is_known(library: ModuleType, name: str) -> bool:
    """Whether this architecture, and this version of libseccomp, has a call of that name."""
    try:
        return int(library.resolve_syscall(library.system_arch(), name)) >= 0
    except (OSError, ValueError):
        return False

"""Attempts to get out of the jail. Runs as a program in it, and alone in a bare interpreter, where the harmless ones must get through.

Each attempt is a function that returns what it got; nothing, or an error, means that it was held. Each has a process of its own, since some
are killed. Imports nothing of ours. Prints one line of JSON: what each got, by name.
"""

import contextlib
import ctypes
import fcntl
import json
import mmap
import os
import pathlib
import platform
import pty
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
NUMBERS = (
    {"ptrace": 101, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "bpf": 321}
    | {"io_uring_setup": 425, "keyctl": 250, "add_key": 248, "request_key": 249, "userfaultfd": 323, "perf_event_open": 298}
    | {"kexec_load": 246, "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176, "reboot": 169}
    | {"process_vm_readv": 310, "process_vm_writev": 311, "pidfd_open": 434, "pidfd_getfd": 438, "open_by_handle_at": 304}
    | {
        "name_to_handle_at": 303,
        "fsopen": 430,
        "move_mount": 429,
        "open_tree": 428,
        "mount_setattr": 442,
        "clone3": 435,
        "memfd_create": 319,
    }
    | {
        "swapon": 167,
        "acct": 163,
        "quotactl": 179,
        "syslog": 103,
        "iopl": 172,
        "ioperm": 173,
        "settimeofday": 164,
        "clock_settime": 227,
    }
    | {
        "sethostname": 170,
        "personality": 135,
        "fanotify_init": 300,
        "inotify_init1": 294,
        "mknod": 133,
        "mknodat": 259,
        "shmget": 29,
    }
    | {"msgget": 68, "semget": 64, "mq_open": 240, "landlock_create_ruleset": 444, "seccomp": 317, "setuid": 105, "setgroups": 116}
    | {
        "capset": 126,
        "vhangup": 153,
        "modify_ldt": 154,
        "lookup_dcookie": 212,
        "migrate_pages": 256,
        "move_pages": 279,
        "kcmp": 312,
    }
    if X86
    else {"ptrace": 117, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268, "bpf": 280}
    | {"io_uring_setup": 425, "keyctl": 219, "add_key": 217, "request_key": 218, "userfaultfd": 282, "perf_event_open": 241}
    | {"process_vm_readv": 270, "process_vm_writev": 271, "pidfd_open": 434, "pidfd_getfd": 438, "clone3": 435, "memfd_create": 279}
)
"""Numbers of system calls that no program in the jail has: those of x86_64, and the gravest of aarch64."""

ENOSYS = 38


def attempt_to_list_the_host_s_folders() -> object:
    return [
        name for name in ("/etc", "/home", "/var", "/root/.ssh", "/run", "/sys", "/opt", "/work", "/boot") if os.path.isdir(name)
    ]


def attempt_to_read_the_users() -> object:
    return pathlib.Path("/etc/passwd").read_text()


def attempt_to_read_the_passwords() -> object:
    return pathlib.Path("/etc/shadow").read_text()


def attempt_to_read_proc_of_this_process() -> object:
    return pathlib.Path("/proc/self/status").read_text()


def attempt_to_read_the_environment_of_the_first_process() -> object:
    return pathlib.Path("/proc/1/environ").read_bytes()


def attempt_to_find_the_canary_in_the_environment() -> object:
    return [name for name in os.environ if name not in ("HOME", "LC_ALL", "PWD", "LC_CTYPE")]


def attempt_to_find_the_canary_in_memory() -> object:
    """The environment that the kernel put above the stack, as /proc/self/environ would show it."""
    pointer = ctypes.POINTER(ctypes.c_char_p).in_dll(LIBC, "environ")
    found = []
    at = 0
    while pointer[at]:
        found.append(pointer[at].decode())
        at += 1
    return [item for item in found if "CANARY" in item]


def attempt_to_walk_up() -> object:
    return pathlib.Path("/box/../../../../etc/hostname").read_text()


def attempt_to_find_a_shell() -> object:
    return [name for name in ("/bin/sh", "/usr/bin/env", "/bin/bash", "/usr/bin/bwrap", "/usr/bin/setpriv") if os.path.exists(name)]


def attempt_to_start_a_shell() -> object:
    return subprocess.run(["/bin/sh", "-c", "echo out"], capture_output=True, check=False).stdout


def attempt_to_find_our_own_code() -> object:
    import importlib.util

    return [name for name in ("gateway", "audit", "cryptography", "sqlalchemy", "pip") if importlib.util.find_spec(name)]


def attempt_to_find_another_s_files() -> object:
    return [
        path for place in ("/tmp", "/var/tmp", "/dev/shm") if os.path.isdir(place) for path in os.listdir(place) if "canary" in path
    ]


def attempt_to_write_the_root() -> object:
    pathlib.Path("/left").write_text("x")
    pathlib.Path("/left").unlink()
    return "written"


def attempt_to_write_the_standard_library() -> object:
    pathlib.Path(os.__file__).with_name("left-by-an-attempt").write_text("x")
    pathlib.Path(os.__file__).with_name("left-by-an-attempt").unlink()
    return "written"


def attempt_to_make_a_network_socket() -> object:
    return str(socket.socket(socket.AF_INET, socket.SOCK_STREAM))


def attempt_to_make_an_ipv6_socket() -> object:
    return str(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))


def attempt_to_make_a_netlink_socket() -> object:
    return str(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))


def attempt_to_make_a_unix_socket() -> object:
    return str(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))


def attempt_to_make_a_packet_socket() -> object:
    return str(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))


def attempt_to_make_a_vsock_socket() -> object:
    return str(socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))


def attempt_to_make_an_alg_socket() -> object:
    return str(socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))


def attempt_to_make_a_pair_of_another_family() -> object:
    return LIBC.socketpair(30, 1, 0, (ctypes.c_int * 2)()) == 0  # AF_TIPC


def attempt_to_resolve_a_name() -> object:
    return socket.getaddrinfo("localhost", 80)


def attempt_to_see_interfaces() -> object:
    return socket.if_nameindex()


def attempt_to_see_processes_of_the_host() -> object:
    return [pid for pid in range(20, 5000) if _is_there(pid)]


def attempt_to_see_the_worker_by_its_number() -> object:
    return _is_there(int(sys.argv[1]))


def attempt_to_stop_the_first_process() -> object:
    os.kill(1, signal.SIGKILL)
    return None  # that anything is printed is the proof: a pid namespace ends with its first process


def attempt_to_type_into_the_terminal() -> object:
    _, terminal = pty.openpty()
    os.setsid()
    fcntl.ioctl(terminal, 0x540E, 0)
    return fcntl.ioctl(terminal, 0x5412, b"x")  # TIOCSTI


def attempt_to_open_the_terminal() -> object:
    return os.open("/dev/tty", os.O_RDWR)


def attempt_to_ask_a_device_for_tiocsti() -> object:
    LIBC.ioctl(0, 0x5412, b"x")
    return ctypes.get_errno() != ENOSYS


def attempt_to_ask_a_device_with_high_bits() -> object:
    """The kernel reads 32 bits of the request; a filter that compares 64 is gone round unless it refuses what it does not know."""
    LIBC.syscall(16 if X86 else 29, ctypes.c_long(0), ctypes.c_ulong(0xFFFFFFFF_00005412), b"x")
    return ctypes.get_errno() != ENOSYS


def attempt_to_use_open_descriptors() -> object:
    return [number for number in range(3, 256) if _is_open(number)][1:]  # the first is the pipe that we answer by


def attempt_to_become_root() -> object:
    os.setuid(0)
    return os.getuid() == 0


def attempt_to_have_capabilities() -> object:
    header, sets = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    LIBC.capget(ctypes.create_string_buffer(header), sets)
    return any(sets.raw)


def attempt_to_gain_rights_by_a_program() -> object:
    return LIBC.prctl(39, 0, 0, 0, 0) != 1  # PR_GET_NO_NEW_PRIVS


def attempt_to_find_setuid_programs() -> object:
    found = []
    for folder, _, names in os.walk("/usr"):
        for name in names:
            with contextlib.suppress(OSError):
                if os.lstat(f"{folder}/{name}").st_mode & 0o6000 and os.access(f"{folder}/{name}", os.X_OK):
                    found.append(f"{folder}/{name}")
        if found:
            break
    return found if not os.statvfs("/usr/lib").f_flag & os.ST_NOSUID else None


def attempt_to_make_a_device() -> object:
    os.mknod("device", 0o020666, os.makedev(1, 1))  # /dev/mem
    os.unlink("device")
    return "made"


def attempt_to_find_devices() -> object:
    return [name for name in os.listdir("/dev") if name not in ("null", "zero", "urandom")]


def attempt_to_find_disks_and_shared_memory() -> object:
    return [
        name
        for name in ("/dev/shm", "/dev/mem", "/dev/kmsg", "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/random")
        if os.path.exists(name)
    ]


def attempt_to_have_a_namespace_by_clone() -> object:
    child = LIBC.syscall(56 if X86 else 220, ctypes.c_ulong(0x10000000 | 17), 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return child > 0


def attempt_to_call_as_i386() -> object:
    """int 0x80, getpid: the numbers of another architecture, which a filter that knows one alone lets through."""
    if not X86:
        return None
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    asked: Callable[[], int] = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    return asked() == os.getpid()


def attempt_to_call_as_x32() -> object:
    """getpid by the numbers of the x32 ABI."""
    if not X86:
        return None
    return LIBC.syscall(ctypes.c_long(0x40000000 | 39)) == os.getpid()


def attempt_to_raise_a_bound() -> object:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return "raised"


def attempt_to_link_to_what_is_the_host_s() -> object:
    os.link(os.__file__, "linked")
    os.unlink("linked")
    return "linked"


def attempt_to_lower_the_nice_value() -> object:
    return os.nice(-5)


def attempt_to_lock_memory() -> object:
    return LIBC.mlock(ctypes.create_string_buffer(1 << 16), 1 << 16) == 0


def _by_number(number: int) -> Callable[[], object]:
    def attempt() -> object:
        ctypes.set_errno(0)
        LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(-1),) * 6)
        return ctypes.get_errno() != ENOSYS

    return attempt


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid not in (os.getpid(), os.getppid()) and pid > 100


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


ATTEMPTS = {name: function for name, function in dict(globals()).items() if name.startswith("attempt_")}
CALLS = {f"call_{name}": _by_number(number) for name, number in NUMBERS.items()}
"""Each system call by its number, with arguments that none takes: it must not be known, which is told from refused or failed."""

HARMFUL = {"attempt_to_stop_the_first_process", "call_vhangup", "call_reboot", "attempt_to_type_into_the_terminal"} | {
    "attempt_to_write_the_root",
    "attempt_to_write_the_standard_library",
    "attempt_to_link_to_what_is_the_host_s",
}
"""Not to be tried bare. The others get wrong arguments, or look only."""


def got(attempt: Callable[[], object]) -> str | None:
    """What it got, in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        said = ""
        try:
            result = attempt()
            said = repr(result)[:200] if result else ""
        except Exception as error:  # noqa: BLE001  # whatever stood in its way
            said = (
                ""
                if isinstance(error, OSError | ImportError | AttributeError | ValueError)
                else f"a fault of the attempt: {error!r}"
            )
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said or None


if __name__ == "__main__":
    bare = len(sys.argv) > 2
    tried = {name: attempt for name, attempt in {**ATTEMPTS, **CALLS}.items() if not (bare and name in HARMFUL)}
    print(json.dumps({name: got(attempt) for name, attempt in tried.items()}))

"""System calls by number for each supported architecture, and the rule for each in a locked process.

Numbers are those of Linux's `asm/unistd.h`. A call that is not listed here is refused, including calls of later kernels.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The calls that computing with existing memory, threads and open pipes needs, and no more.
ALLOWED = (
    "read write readv writev close fstat lseek mmap mprotect munmap brk mremap madvise msync mincore rt_sigaction rt_sigprocmask"
    " rt_sigreturn sigaltstack poll select ppoll pselect6 sched_yield sched_getaffinity nanosleep clock_nanosleep clock_gettime"
    " clock_getres gettimeofday time getrlimit getrusage sysinfo times uname getpid getppid getuid geteuid getgid getegid gettid"
    " futex set_tid_address set_robust_list get_robust_list restart_syscall exit exit_group getrandom membarrier rseq getcpu"
).split()

#: Calls that no honest candidate makes: an attempt kills the process, and the signal is the evidence.
HOSTILE = (
    "ptrace process_vm_readv process_vm_writev bpf userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key"
    " request_key mount umount2 pivot_root setns unshare perf_event_open init_module finit_module kexec_load open_by_handle_at"
    " pidfd_getfd"
).split()

#: Calls whose arguments decide, by the rule that `seccomp.build_filter` has for each.
FILTERED = "clone clone3 tgkill prlimit64 fcntl prctl".split()


@dataclass(frozen=True)
class Architecture:
    """An architecture as a filter sees it.

    Attributes:
        audit: Its AUDIT_ARCH value, which a filter compares first: numbers mean something else on any other.
        foreign: Numbers from here on belong to another calling convention of the same processor (x32); 0 where there is none.
        numbers: System call by name; one that the architecture does not have is missing.
        landlock: Number of `landlock_create_ruleset`; `landlock_restrict_self` is two further on.
        seccomp: Number of `seccomp`.
    """

    audit: int
    foreign: int
    numbers: dict[str, int]
    seccomp: int
    landlock: int = 444


_X86_64 = (
    "read 0 write 1 close 3 fstat 5 poll 7 lseek 8 mmap 9 mprotect 10 munmap 11 brk 12 rt_sigaction 13 rt_sigprocmask 14"
    " rt_sigreturn 15 readv 19 writev 20 select 23 sched_yield 24 mremap 25 msync 26 mincore 27 madvise 28 nanosleep 35 getpid 39"
    " clone 56 exit 60 uname 63 fcntl 72 gettimeofday 96 getrlimit 97 getrusage 98 sysinfo 99 times 100 ptrace 101 getuid 102"
    " getgid 104 geteuid 107 getegid 108 getppid 110 sigaltstack 131 pivot_root 155 prctl 157 mount 165 umount2 166"
    " init_module 175 gettid 186 time 201 futex 202 sched_getaffinity 204 set_tid_address 218 restart_syscall 219"
    " clock_gettime 228 clock_getres 229 clock_nanosleep 230 exit_group 231 tgkill 234 kexec_load 246 add_key 248 request_key 249"
    " keyctl 250 pselect6 270 ppoll 271 unshare 272 set_robust_list 273 get_robust_list 274 perf_event_open 298 prlimit64 302"
    " open_by_handle_at 304 setns 308 getcpu 309 process_vm_readv 310 process_vm_writev 311 finit_module 313 getrandom 318"
    " bpf 321 userfaultfd 323 membarrier 324 rseq 334 io_uring_setup 425 io_uring_enter 426 io_uring_register 427 clone3 435"
    " pidfd_getfd 438"
)

_AARCH64 = (
    "fcntl 25 umount2 39 mount 40 pivot_root 41 close 57 lseek 62 read 63 write 64 readv 65 writev 66 pselect6 72 ppoll 73"
    " fstat 80 exit 93 exit_group 94 set_tid_address 96 unshare 97 futex 98 set_robust_list 99 get_robust_list 100 nanosleep"
    " 101 kexec_load 104 init_module 105 clock_gettime 113 clock_getres 114 clock_nanosleep 115 ptrace 117 sched_getaffinity"
    " 123 sched_yield 124 restart_syscall 128 tgkill 131 sigaltstack 132 rt_sigaction 134 rt_sigprocmask 135 rt_sigreturn"
    " 139 times 153 uname 160 getrlimit 163 getrusage 165 prctl 167 getcpu 168 gettimeofday 169 getpid 172 getppid 173"
    " getuid 174 geteuid 175 getgid 176 getegid 177 gettid 178 sysinfo 179 brk 214 munmap 215 mremap 216 add_key 217"
    " request_key 218 keyctl 219 clone 220 mmap 222 mprotect 226 msync 227 mincore 232 madvise 233 perf_event_open 241"
    " prlimit64 261 open_by_handle_at 265 setns 268 process_vm_readv 270 process_vm_writev 271 finit_module 273 getrandom"
    " 278 bpf 280 userfaultfd 282 membarrier 283 rseq 293 io_uring_setup 425 io_uring_enter 426 io_uring_register 427 clone3"
    " 435 pidfd_getfd 438"
)


def _numbers(table: str) -> dict[str, int]:
    words = table.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


#: By `platform.machine()`.
ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, 0x40000000, _numbers(_X86_64), seccomp=317),
    "aarch64": Architecture(0xC00000B7, 0, _numbers(_AARCH64), seccomp=277),
}

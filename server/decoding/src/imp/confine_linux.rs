//! Linux: a worker gives up everything but its standard input and output, memory and time.

#![expect(unsafe_code, reason = "inherited descriptors are closed by number")]

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Closes what was inherited, bounds memory and time, and lets the kernel refuse every call but those
/// that decoding needs.
pub(crate) fn confine() -> io::Result<()> {
    close_inherited()?;
    for (resource, most) in [
        (Resource::As, MEMORY_BYTES_MAX),
        (Resource::Cpu, PROCESSOR_S_MAX),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Nproc, 0),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)?;
    }
    let program = filter().map_err(io::Error::other)?;
    // Sets `no_new_privs` before the filter.
    seccompiler::apply_filter(&program).map_err(io::Error::other)
}

/// Returns the program that runs here, by a name that holds when its file is replaced meanwhile.
///
/// # Errors
/// The system does not tell.
pub fn own_program() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

/// Closes every descriptor but standard input, output and error.
fn close_inherited() -> io::Result<()> {
    let mut listed = Vec::new();
    for entry in std::fs::read_dir(DESCRIPTORS_FOLDER)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<i32>().ok());
        listed.extend(number.filter(|number| *number > 2));
    }
    // That of the listing itself is closed already.
    let still_open = |number: &i32| {
        std::fs::symlink_metadata(format!("{DESCRIPTORS_FOLDER}/{number}")).is_ok()
    };
    for descriptor in listed.into_iter().filter(still_open) {
        // SAFETY: the descriptor is open, the process has one thread, and it has opened nothing that
        // lasts, so that nothing in it owns the descriptor.
        unsafe { rustix::io::close(descriptor) };
    }
    Ok(())
}

fn filter() -> Result<seccompiler::BpfProgram, seccompiler::BackendError> {
    let allowed = ALLOWED.iter().map(|call| (*call, Vec::new()));
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = allowed.collect();
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![never_executable()?]);
    }
    let refused = SeccompAction::Errno(EPERM);
    let here = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, refused, SeccompAction::Allow, here)?.try_into()
}

/// Memory may be asked for where it cannot be executed.
fn never_executable() -> Result<SeccompRule, seccompiler::BackendError> {
    let executable = SeccompCmpOp::MaskedEq(PROT_EXEC);
    let protection = SeccompCondition::new(2, SeccompCmpArgLen::Dword, executable, 0)?;
    SeccompRule::new(vec![protection])
}

/// Reading and writing what is open, memory, time, and the end.
const ALLOWED: [i64; 23] = [
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_sched_getaffinity,
    libc::SYS_exit,
    libc::SYS_exit_group,
];
const DESCRIPTORS_FOLDER: &str = "/proc/self/fd";
const PROT_EXEC: u64 = 4;
const EPERM: u32 = 1;
/// A decoder of the largest picture needs some 100 MiB; the program itself and its stacks as much.
const MEMORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;
const PROCESSOR_S_MAX: u64 = 40;
/// Standard input, output and error are open; no other can be.
const DESCRIPTORS: u64 = 3;

//! The memory that the server may take.

/// Returns the bytes of memory of the machine, or of the container if it has fewer. `None` if the
/// system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn of_machine() -> Option<u64> {
    let system = rustix::system::sysinfo();
    let machine = (system.totalram as u64).checked_mul(system.mem_unit.into())?;
    // The control group of a container. Without a limit, the file says "max".
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|limit| limit.trim().parse().ok());
    Some(machine.min(limit.unwrap_or(machine)))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn of_machine() -> Option<u64> {
    None
}

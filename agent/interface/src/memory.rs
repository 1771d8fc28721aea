//! How much memory one piece of work may ask for, known before any of it is allocated.
//!
//! Allocation that fails ends the process, and memory that is there but not free slows the whole machine. So what a
//! config or a file asks for is summed up first, and refused by the name of its field.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

const GIB: f64 = (1_u64 << 30) as f64;
/// Limit of a machine that does not say how much memory it has.
const UNKNOWN_BYTES: u64 = 8 << 30;

/// Most bytes of memory that one piece of work may ask for.
///
/// ```
/// use mindseye_interface::{MemoryLimit, memory::product};
///
/// let limit = MemoryLimit::from_gib(2.0)?;
/// limit.require("recipe.toml: data.batch", product(&[256, 4, 3, 64, 64, 4]))?;
/// let error = limit.require("recipe.toml: data.batch", product(&[1_000_000, 4, 3, 64, 64, 4])).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "recipe.toml: data.batch: expected at most 2.0 GiB of memory (--memory-gib), got 183.1 GiB"
/// );
/// # Ok::<(), mindseye_interface::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimit {
    bytes: u64,
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::of_this_machine()
    }
}

impl MemoryLimit {
    /// Three quarters of what this process could still get: of the machine's available memory, of the limit of its
    /// control groups, or of its address space, whichever is least. 8 GiB where the system reports none of them.
    pub fn of_this_machine() -> Self {
        let found = [available_bytes(), control_group_bytes(), address_space_bytes()].into_iter().flatten().min();
        Self { bytes: found.map_or(UNKNOWN_BYTES, |bytes| bytes / 4 * 3) }
    }

    /// A limit of `bytes` bytes.
    pub fn from_bytes(bytes: u64) -> Self {
        Self { bytes }
    }

    /// A limit of `gib` GiB, above 0.
    ///
    /// # Errors
    /// [`Error::Field`] for a number that is not finite and positive, or beyond 2^33 GiB.
    pub fn from_gib(gib: f64) -> Result<Self> {
        if gib > 0.0 && gib <= (1_u64 << 33) as f64 {
            Ok(Self { bytes: (gib * GIB) as u64 })
        } else {
            Err(Error::field("--memory-gib", "a number of GiB above 0", gib))
        }
    }

    /// The limit, bytes.
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    /// The limit, GiB.
    pub fn gib(self) -> f64 {
        self.bytes as f64 / GIB
    }

    /// Refuses work that needs more than the limit. `field` names what asks for it, with its file: `recipe.toml:
    /// data.batch`. See [`product`] for sums that cannot overflow.
    ///
    /// # Errors
    /// [`Error::Field`] with both sizes.
    pub fn require(self, field: &str, bytes: u128) -> Result<()> {
        if bytes <= u128::from(self.bytes) {
            return Ok(());
        }
        let expected = format!("at most {} of memory (--memory-gib)", shown(u128::from(self.bytes)));
        Err(Error::field(field, expected, shown(bytes)))
    }
}

/// Product of `factors`, at most `u128::MAX`: a size that overflows is larger than any limit.
pub fn product(factors: &[usize]) -> u128 {
    factors.iter().fold(1, |product: u128, &factor| product.saturating_mul(factor as u128))
}

/// Sum of `terms`, at most `u128::MAX`.
pub fn sum(terms: &[u128]) -> u128 {
    terms.iter().fold(0, |sum: u128, &term| sum.saturating_add(term))
}

/// A size for people: bytes, MiB or GiB with one decimal.
fn shown(bytes: u128) -> String {
    const MIB: u128 = 1 << 20;
    match bytes {
        bytes if bytes < MIB => format!("{bytes} bytes"),
        bytes if bytes < 1024 * MIB => format!("{:.1} MiB", bytes as f64 / MIB as f64),
        bytes if bytes < 1 << 70 => format!("{:.1} GiB", bytes as f64 / GIB),
        _ => "more than 2^40 GiB".into(),
    }
}

/// What the kernel estimates to be available without swapping.
fn available_bytes() -> Option<u64> {
    meminfo_available(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn meminfo_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The least limit of this process's control groups and of those around them.
fn control_group_bytes() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let limit = |file: PathBuf| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    group_files(&groups).into_iter().filter_map(limit).min()
}

/// Files with limits, for the content of `/proc/self/cgroup`. A container sees its own group at the root.
fn group_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for group in groups.lines() {
        let mut fields = group.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let inside = path.trim_start_matches('/');
        files.extend(Path::new(inside).ancestors().map(|above| Path::new(root).join(above).join(file)));
    }
    files
}

/// The limit of the address space (`ulimit -v`), where there is one.
fn address_space_bytes() -> Option<u64> {
    address_space_of(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn address_space_of(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok() // "unlimited" is no number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_limit_and_more_than_one_mebibyte() {
        assert!(MemoryLimit::default().bytes() > 1 << 20);
    }

    #[test]
    fn what_the_system_reports_is_read() {
        assert_eq!(meminfo_available("MemTotal:  9 kB\nMemAvailable:   24076412 kB\n"), Some(24_076_412 * 1024));
        assert_eq!(meminfo_available("MemAvailable: many kB\n"), None);
        let limits =
            |soft: &str| format!("Max processes 1 2 processes\nMax address space    {soft}  unlimited bytes\n");
        assert_eq!(address_space_of(&limits("3072000000")), Some(3_072_000_000));
        assert_eq!(address_space_of(&limits("unlimited")), None);
        let files = group_files("4:memory:/jobs/7\n3:cpuset:/\n0::/user.slice\n");
        for file in ["memory/jobs/7/memory.limit_in_bytes", "memory/memory.limit_in_bytes", "user.slice/memory.max"] {
            assert!(files.contains(&Path::new("/sys/fs/cgroup").join(file)), "{file} of {files:?}");
        }
    }

    #[test]
    fn sizes_that_overflow_are_beyond_every_limit() {
        let limit = MemoryLimit::from_bytes(u64::MAX);
        assert_eq!(product(&[usize::MAX; 3]), u128::MAX);
        assert_eq!(sum(&[u128::MAX, 1]), u128::MAX);
        let error = limit.require("recipe.toml: data.batch", product(&[usize::MAX; 3])).unwrap_err().to_string();
        assert!(error.ends_with("got more than 2^40 GiB"), "{error}");
        assert!(limit.require("recipe.toml: data.batch", u128::from(u64::MAX)).is_ok());
    }

    #[test]
    fn a_limit_is_a_positive_number() {
        assert_eq!(MemoryLimit::from_gib(1.5).unwrap().bytes(), 3 << 29);
        for gib in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e30] {
            assert!(MemoryLimit::from_gib(gib).unwrap_err().to_string().contains("--memory-gib"));
        }
    }
}

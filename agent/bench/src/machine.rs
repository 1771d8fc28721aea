//! The machine that was measured.

use mindseye_interface::inputs;
use serde::{Deserialize, Serialize};

/// What a speed is the speed of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Name of the processor, where the system tells; its architecture elsewhere.
    pub processor: String,
    /// Threads that run at the same time.
    pub cores: usize,
    /// The operating system.
    pub system: String,
}

/// Where Linux describes its processors, one after the other, and most that is read of it, bytes.
const PROCESSORS: (&str, u64) = ("/proc/cpuinfo", 16 << 20);

impl Machine {
    /// The machine of this process.
    pub fn here() -> Self {
        let (path, most) = PROCESSORS;
        let text = inputs::read(path.as_ref(), most).unwrap_or_default();
        let named = processor(&String::from_utf8_lossy(&text)).map(str::to_owned);
        Self {
            processor: named.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: std::env::consts::OS.to_owned(),
        }
    }
}

/// The name of the first processor in the text of Linux.
fn processor(text: &str) -> Option<&str> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let mut names = fields.filter(|(field, _)| field.trim() == "model name").map(|(_, name)| name.trim());
    names.next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_known_by_its_name_or_else_by_its_architecture() {
        let text = "processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\nprocessor\t: 1\nmodel name\t: other\n";
        assert_eq!(processor(text), Some("Fast CPU @ 3 GHz"));
        assert_eq!((processor("Hardware : board"), processor("model name :")), (None, None));
        let here = Machine::here();
        assert!(here.cores > 0 && !here.processor.is_empty() && !here.system.is_empty(), "{here:?}");
    }
}

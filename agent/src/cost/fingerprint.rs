//! What tells one intrinsic cost from another.

use sha2::{Digest, Sha256};

/// A sum over names and parameters (SHA-256): equal costs have equal ones, and a cost in which a single number differs
/// has another.
#[derive(Debug, Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds a name.
    pub fn name(&mut self, name: &str) {
        self.0.update((name.len() as u64).to_le_bytes());
        self.0.update(name);
    }

    /// Adds parameters, bit by bit.
    pub fn numbers(&mut self, values: &[f32]) {
        self.0.update((values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| self.0.update(value.to_le_bytes()));
    }

    /// The sum so far, 64 hexadecimal digits.
    pub fn digits(&self) -> String {
        self.0.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_and_every_border_counts() {
        let of = |names: &[&str], values: &[f32]| {
            let mut sum = Fingerprint::default();
            names.iter().for_each(|name| sum.name(name));
            sum.numbers(values);
            sum.digits()
        };
        let one = of(&["effort"], &[1.0, 0.0]);
        assert_eq!((one.len(), &one), (64, &of(&["effort"], &[1.0, 0.0])));
        for other in [of(&["effort"], &[1.0, -0.0]), of(&["eff", "ort"], &[1.0, 0.0]), of(&["effort"], &[1.0])] {
            assert_ne!(one, other);
        }
    }
}

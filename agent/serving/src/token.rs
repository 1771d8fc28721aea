//! Tokens of clients.

/// Whether two texts are equal, in a time that depends on the length of the first alone.
pub(crate) fn are_equal(given: &[u8], expected: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != expected.len());
    for (index, byte) in given.iter().enumerate() {
        difference |= std::hint::black_box(byte ^ expected.get(index % expected.len().max(1)).unwrap_or(&0));
    }
    std::hint::black_box(difference) == 0
}

//! Lists and numbers in the lines of warnings.

/// Most episodes or dimensions that are listed.
const LISTED: usize = 8;

/// `items`, the first of them where there are many.
pub(super) fn listed<T: ToString>(items: &[T]) -> String {
    let first: Vec<String> = items.iter().take(LISTED).map(T::to_string).collect();
    let more = match items.len() {
        0..=LISTED => String::new(),
        count => format!(" and {} more", count - LISTED),
    };
    format!("{}{more}", first.join(", "))
}

/// `in all 50 episodes`, or `in 2 of 50 episodes (3, 7)`.
pub(super) fn in_episodes(episodes: &[usize], of: usize) -> String {
    match (episodes.len(), of) {
        (1, 1) => "in the only episode".into(),
        (count, all) if count == all => format!("in all {all} episodes"),
        (count, all) => format!("in {count} of {all} episodes ({})", listed(episodes)),
    }
}

/// A number with three digits.
pub(super) fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (2.0 - value.abs().log10().floor()).clamp(0.0, 12.0);
    let scale = 10f64.powf(digits);
    ((value * scale).round() / scale).to_string()
}

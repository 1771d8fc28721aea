//! Names of the elements of a vector.

/// `names` if there are `width` of them, else `prefix_0`, `prefix_1`, ...
pub(crate) fn or_numbered(names: Vec<String>, width: usize, prefix: &str) -> Vec<String> {
    if names.len() == width { names } else { (0..width).map(|index| format!("{prefix}_{index}")).collect() }
}

#[cfg(test)]
mod tests {
    use super::or_numbered;

    #[test]
    fn names_of_another_number_are_replaced_by_numbered_ones() {
        assert_eq!(or_numbered(vec!["x".into(), "y".into()], 2, "action"), ["x", "y"]);
        assert_eq!(or_numbered(vec!["x".into()], 2, "action"), ["action_0", "action_1"]);
    }
}

//! Fields and variants are still read under the names that they had before. Where a parser lists what it knows, it
//! lists those names too; nobody should write them any more.

/// Names of before, and the name of today that stands in the same list.
const FORMER: [(&str, &str); 19] = [
    alias("action_block", "action_chunk"),
    alias("actuation", "affine_action_map"),
    alias("calm_below", "surprise_below"),
    alias("calm_ticks", "surprise_ticks"),
    alias("completion", "missing_frames"),
    alias("doubt_above", "innovation_gate"),
    alias("futures", "samples"),
    alias("horizon_blocks", "horizon_chunks"),
    alias("least_moments", "min_transitions"),
    alias("moments", "transitions"),
    alias("per_block", "step_cost"),
    alias("picture_every", "frame_stride"),
    alias("reached_energy", "success_energy"),
    alias("refinement", "finetuning"),
    alias("samples", "count"),
    alias("shards", "micro_batches"),
    alias("slack", "margin"),
    alias("soonest", "min_over_horizon"),
    alias("with_policy", "planner_with_policy"),
];

/// A name of before for the name of today.
const fn alias(former: &'static str, today: &'static str) -> (&'static str, &'static str) {
    (former, today)
}

/// `message` of a parser, where it lists known names, with names of today only.
pub(super) fn without_former_names(message: &str) -> String {
    const ONE_OF: &str = "expected one of ";
    let Some((before, list)) = message.split_once(ONE_OF) else { return message.to_owned() };
    let known: Vec<&str> = list.split(", ").collect();
    let has = |name: &str| known.iter().any(|known| known.trim_matches('`') == name);
    let is_former = |name: &str| FORMER.iter().any(|(former, today)| *former == name && has(today));
    let left: Vec<&str> = known.iter().copied().filter(|known| !is_former(known.trim_matches('`'))).collect();
    match left[..] {
        [one] => format!("{before}expected {one}"),
        _ => format!("{before}{ONE_OF}{}", left.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_known_names_have_those_of_today_only() {
        let shown = |message: &str| without_former_names(message);
        assert_eq!(
            shown("unknown field `x`, expected one of `name`, `horizon_chunks`, `horizon_blocks`, `samples`"),
            "unknown field `x`, expected one of `name`, `horizon_chunks`, `samples`"
        );
        assert_eq!(
            shown("unknown field `x`, expected one of `count`, `samples`"),
            "unknown field `x`, expected `count`"
        );
        for same in ["unknown variant `x`, expected one of `samples`, `elites`, `slack`", "missing field `name`"] {
            assert_eq!(shown(same), same);
        }
    }
}

//! Factors of variation: off by default, independent of each other.

use mindseye_interface::Seed;
use mindseye_sim::scenes::two_room::Layout;
use mindseye_sim::{Factor, Factors, scene};

use super::all_factors;

/// `base` with what `factor` names taken from `other`.
fn with_factor(mut base: Layout, factor: Factor, other: &Layout) -> Layout {
    match factor {
        Factor::AgentColor => base.agent_rgb = other.agent_rgb,
        Factor::WallColor => base.wall_rgb = other.wall_rgb,
        Factor::FloorColor => base.floor_rgb = other.floor_rgb,
        Factor::AgentRadius => base.agent_radius_m = other.agent_radius_m,
        Factor::AgentSpeed => base.agent_speed_m_per_s = other.agent_speed_m_per_s,
        Factor::DoorPosition => base.door_y_m = other.door_y_m,
        Factor::WallPosition => base.wall_x_m = other.wall_x_m,
        Factor::WallThickness => base.wall_thickness_m = other.wall_thickness_m,
        Factor::Friction => base.friction = other.friction,
        Factor::RotatedActions => base.action_rotation_rad = other.action_rotation_rad,
        Factor::BlockColor
        | Factor::BlockSize
        | Factor::BlockShape
        | Factor::DoubledFriction
        | Factor::TripledFriction
        | Factor::DoubledMass
        | Factor::HalvedActionGain
        | Factor::RecolouredFloor => unreachable!("push_t's"),
    }
    base
}

#[test]
fn by_default_every_episode_has_the_same_layout() {
    for seed in (0..20).map(Seed::new) {
        assert_eq!(Layout::of_episode(seed, &Factors::default()), Layout::default());
    }
}

#[test]
fn each_factor_changes_what_it_names_and_nothing_else() {
    for &factor in scene("two_room").unwrap().factors {
        for seed in (0..20).map(Seed::new) {
            let layout = Layout::of_episode(seed, &Factors(vec![factor]));
            assert_ne!(layout, Layout::default(), "{factor:?} changes something");
            assert_eq!(layout, with_factor(Layout::default(), factor, &layout), "{factor:?} changes only itself");
            if factor.is_fixed() {
                continue; // a changed world is a default one in all else
            }
            let among_all = Layout::of_episode(seed, &Factors(all_factors()));
            assert_eq!(layout, with_factor(Layout::default(), factor, &among_all), "{factor:?} ignores the others");
        }
    }
}

#[test]
fn factors_differ_from_episode_to_episode() {
    for factor in all_factors() {
        let layouts: Vec<Layout> =
            (0..20).map(|seed| Layout::of_episode(Seed::new(seed), &Factors(vec![factor]))).collect();
        let repeated = layouts.iter().filter(|layout| **layout == layouts[0]).count();
        assert_eq!(repeated, 1, "{factor:?}");
    }
}

#[test]
fn the_agent_can_always_be_seen_and_always_fits_through_the_door() {
    for seed in (0..500).map(Seed::new) {
        let layout = Layout::of_episode(seed, &Factors(all_factors()));
        let contrast = |a: [u8; 3], b: [u8; 3]| a.iter().zip(b).map(|(a, b)| a.abs_diff(b)).max().unwrap();
        for (a, b) in [
            (layout.agent_rgb, layout.floor_rgb),
            (layout.agent_rgb, layout.wall_rgb),
            (layout.wall_rgb, layout.floor_rgb),
        ] {
            assert!(contrast(a, b) >= 40, "{a:?} on {b:?}");
        }
        assert!(layout.door_clearance_m() > 0.01);
        let (low, high) = layout.floor();
        let (left, right) = layout.passage();
        assert!(low < left && right < high && left < right);
        let door = [layout.wall_x_m, layout.door_y_m];
        assert!(layout.overlap_m(door) < 0.0, "the door lies within the inner wall");
    }
}

#[test]
fn every_factor_is_found_by_its_name() {
    for (name, factor) in Factor::ALL {
        assert_eq!((name.parse::<Factor>().unwrap(), factor.name()), (factor, name));
    }
}

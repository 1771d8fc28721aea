//! Factors of variation: off by default, each changing what it names; and those of other scenes refused.

use mindseye_interface::Seed;
use mindseye_sim::scenes::push_t::Layout;
use mindseye_sim::{Factor, Factors, make, scene};

use super::{all_factors, options};

/// `base` with what `factor` names taken from `other`.
fn with_factor(mut base: Layout, factor: Factor, other: &Layout) -> Layout {
    match factor {
        Factor::AgentColor => base.agent_rgb = other.agent_rgb,
        Factor::BlockColor => base.block_rgb = other.block_rgb,
        Factor::FloorColor | Factor::RecolouredFloor => base.floor_rgb = other.floor_rgb,
        Factor::WallColor => base.wall_rgb = other.wall_rgb,
        Factor::AgentRadius => base.agent_radius_m = other.agent_radius_m,
        Factor::AgentSpeed | Factor::HalvedActionGain => base.agent_reach_m = other.agent_reach_m,
        Factor::BlockShape => base.shape = other.shape,
        Factor::BlockSize => base.block_scale = other.block_scale,
        Factor::Friction | Factor::DoubledFriction | Factor::TripledFriction => base.friction = other.friction,
        Factor::DoubledMass => base.agent_kg = other.agent_kg,
        Factor::RotatedActions => base.action_rotation_rad = other.action_rotation_rad,
        Factor::DoorPosition | Factor::WallPosition | Factor::WallThickness => unreachable!("there is no door"),
    }
    base
}

#[test]
fn each_factor_changes_what_it_names_and_nothing_else() {
    for &factor in scene("push_t").unwrap().factors {
        let mut changed = 0;
        for seed in (0..20).map(Seed::new) {
            assert_eq!(Layout::of_episode(seed, &Factors::default()), Layout::default());
            let layout = Layout::of_episode(seed, &Factors(vec![factor]));
            changed += usize::from(layout != Layout::default());
            assert_eq!(layout, with_factor(Layout::default(), factor, &layout), "{factor:?} changes only itself");
            if factor.is_fixed() {
                continue; // a changed world is a default one in all else
            }
            let among_all = Layout::of_episode(seed, &Factors(all_factors()));
            assert_eq!(layout, with_factor(Layout::default(), factor, &among_all), "{factor:?} ignores the others");
        }
        assert!(changed > 10, "{factor:?} changes something: {changed} of 20");
    }
}

#[test]
fn a_block_balances_about_its_middle_whatever_its_shape() {
    for seed in (0..40).map(Seed::new) {
        let layout = Layout::of_episode(seed, &Factors(all_factors()));
        let parts = layout.parts();
        let area = |half: nalgebra::Vector2<f64>| half.x * half.y;
        let middle: nalgebra::Vector2<f64> = parts.iter().map(|part| part.centre * area(part.half_extents)).sum();
        assert!(middle.norm() < 1e-12);
        assert!(layout.gyration_m() < layout.extent_m());
    }
}

#[test]
fn factors_of_another_scene_are_refused() {
    let error = |scene, factor| make(scene, &options(16, &[factor])).err().unwrap().to_string();
    let said = error("push_t", Factor::DoorPosition);
    assert!(said.contains("door_position") && said.contains("block_shape"), "{said}");
    let said = error("two_room", Factor::BlockShape);
    assert!(said.contains("block_shape") && said.contains("door_position"), "{said}");
}

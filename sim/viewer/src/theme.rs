//! Colours of the window.

use bevy::prelude::Color;
use bevy_egui::egui::{Color32, Context, FontId, TextStyle, Visuals};

/// Behind the scene.
pub const BACKDROP: Color = Color::srgb(0.055, 0.065, 0.085);
/// The table that the floor lies on.
pub const TABLE: Color = Color::srgb(0.10, 0.115, 0.145);
/// The goal.
pub const GOAL: [f32; 3] = [0.20, 0.78, 0.45];
/// The best plan.
pub const BEST: [f32; 3] = [1.0, 0.62, 0.12];
/// Samples of the best plan's outcome.
pub const SAMPLE: [f32; 3] = [0.75, 0.45, 0.95];

/// Text.
pub const INK: Color32 = Color32::from_rgb(225, 229, 236);
/// Behind text over the scene.
pub const GROUND: Color32 = Color32::from_rgba_premultiplied(16, 19, 24, 236);
/// Text that is less important.
pub const MUTED: Color32 = Color32::from_rgb(140, 148, 162);
/// What is right.
pub const GOOD: Color32 = Color32::from_rgb(52, 199, 115);
/// What a person should look at.
pub const WARN: Color32 = Color32::from_rgb(240, 160, 50);
/// What is wrong.
pub const BAD: Color32 = Color32::from_rgb(236, 88, 88);
/// Lines of charts, in the order in which they are taken.
pub const LINES: [Color32; 6] = [
    Color32::from_rgb(86, 156, 240),
    Color32::from_rgb(240, 160, 50),
    Color32::from_rgb(52, 199, 115),
    Color32::from_rgb(196, 120, 240),
    Color32::from_rgb(236, 88, 88),
    Color32::from_rgb(90, 205, 210),
];

/// The colour of an energy, from 0 (the lowest of the candidates) to 1 (the highest): warm to cold, so that what is
/// good stands out on light and on dark floors.
pub fn energy(share: f32) -> [f32; 3] {
    let stops: [[f32; 3]; 4] = [BEST, [0.93, 0.30, 0.36], [0.53, 0.32, 0.78], [0.25, 0.38, 0.70]];
    let at = share.clamp(0.0, 1.0) * (stops.len() - 1) as f32;
    let (low, part) = ((at as usize).min(stops.len() - 2), at.fract());
    let part = if share >= 1.0 { 1.0 } else { part };
    std::array::from_fn(|channel| stops[low][channel] * (1.0 - part) + stops[low + 1][channel] * part)
}

/// A colour for panels.
pub fn colour32(rgb: [f32; 3]) -> Color32 {
    let [r, g, b] = rgb.map(|channel| (channel * 255.0).round() as u8);
    Color32::from_rgb(r, g, b)
}

/// Makes panels dark, with letters that can be read on a laptop.
pub fn apply(context: &Context) {
    let mut visuals = Visuals::dark();
    visuals.override_text_color = Some(INK);
    visuals.panel_fill = Color32::from_rgb(22, 25, 31);
    visuals.extreme_bg_color = Color32::from_rgb(14, 16, 21);
    visuals.widgets.noninteractive.bg_stroke.color = Color32::from_rgb(44, 49, 59);
    context.set_visuals(visuals);
    // A pass that is repeated for its layout would press its buttons twice.
    context.options_mut(|options| options.max_passes = std::num::NonZeroUsize::MIN);
    context.all_styles_mut(|style| {
        style.text_styles.insert(TextStyle::Small, FontId::proportional(11.0));
        style.text_styles.insert(TextStyle::Body, FontId::proportional(13.0));
        style.text_styles.insert(TextStyle::Button, FontId::proportional(13.0));
        style.text_styles.insert(TextStyle::Heading, FontId::proportional(15.0));
        style.spacing.item_spacing = bevy_egui::egui::vec2(6.0, 4.0);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_energy_is_the_colour_of_the_best_plan() {
        assert_eq!(energy(0.0), BEST);
        assert_eq!(energy(1.0), [0.25, 0.38, 0.70]);
        assert!(energy(0.5).iter().all(|channel| (0.0..=1.0).contains(channel)));
    }
}

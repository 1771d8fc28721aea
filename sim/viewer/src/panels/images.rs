//! What the camera shows, what the goal image shows, and the best plan as the decoder draws it.

use bevy_egui::egui::{self, Color32, ColorImage, RichText, TextureHandle, TextureOptions, Ui, Vec2};
use mindseye_interface::Image;

use crate::session::Session;
use crate::theme;

/// Side of camera and goal image, points.
const LARGE: f32 = 116.0;
/// Width of the film strip, points.
const STRIP_WIDTH: f32 = 350.0;
/// Most images of the strip.
const MOST_IMAGES: usize = 8;

/// Images on the graphics card, by what they show.
#[derive(Default)]
pub struct Textures {
    /// Tick that the newest are of, and whether it had images.
    of: Option<(u64, bool)>,
    shown: Vec<(String, TextureHandle)>,
    /// The next ones, and frames until they are on the graphics card: without the wait they would flicker.
    next: Option<(usize, Vec<(String, TextureHandle)>)>,
}

/// Frames from the making of a texture until it can be drawn.
const FRAMES_TO_LOAD: usize = 2;

impl Textures {
    /// Makes those of the shown tick, where they are of another.
    fn follow(&mut self, context: &egui::Context, session: &Session) {
        match &mut self.next {
            Some((0, next)) => {
                self.shown = std::mem::take(next);
                self.next = None;
            }
            Some((frames, _)) => *frames -= 1,
            None => {}
        }
        let Some(record) = session.shown() else { return };
        let key = (record.tick, record.image.is_some());
        if self.of == Some(key) || self.next.is_some() {
            return;
        }
        self.of = Some(key);
        let named = |name: &str, image: &Option<Image>| image.as_ref().map(|image| (name.to_owned(), image.clone()));
        let strip = record.strip.iter().take(MOST_IMAGES).enumerate();
        let strip = strip.map(|(chunk, image)| (format!("+{}", chunk + 1), image.clone()));
        let images = named("camera", &record.image).into_iter().chain(named("goal", &record.goal_image)).chain(strip);
        let next = images.map(|(name, image)| {
            let size = [image.size().width(), image.size().height()];
            let image = ColorImage::from_rgb(size, image.pixels());
            (name.clone(), context.load_texture(name, image, TextureOptions::NEAREST))
        });
        self.next = Some((FRAMES_TO_LOAD, next.collect()));
        context.request_repaint();
    }

    fn get(&self, name: &str) -> Option<&TextureHandle> {
        self.shown.iter().find(|(known, _)| known == name).map(|(_, texture)| texture)
    }
}

/// Draws the images of the shown tick.
pub fn show(ui: &mut Ui, session: &Session, textures: &mut Textures) {
    textures.follow(ui.ctx(), session);
    ui.add_space(4.0);
    let Some(record) = session.shown() else { return };
    ui.horizontal(|ui| {
        let missing = if record.camera_hidden { "hidden" } else { "not kept" };
        framed(ui, "camera", textures.get("camera"), LARGE, missing);
        framed(ui, "goal", textures.get("goal"), LARGE, "no image");
        ui.vertical(|ui| facts(ui, session));
    });
    let count = record.strip.len().min(MOST_IMAGES);
    if count == 0 {
        return;
    }
    ui.label(RichText::new("predicted along the best plan, drawn by the decoder").color(theme::MUTED));
    let side = ((STRIP_WIDTH - 4.0 * count as f32) / count as f32).min(80.0);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for chunk in 1..=count {
            let name = format!("+{chunk}");
            let secs = chunk as f64 * session.settings.action_chunk as f64 * session.figure.control_step_secs;
            framed(ui, &format!("+{secs:.1} s"), textures.get(&name), side, "");
        }
    });
}

/// A caption over an image, or over a dark square that says why there is none.
fn framed(ui: &mut Ui, caption: &str, texture: Option<&TextureHandle>, side: f32, missing: &str) {
    ui.vertical(|ui| {
        ui.label(RichText::new(caption).small().color(theme::MUTED));
        match texture {
            Some(texture) => {
                ui.add(egui::Image::new((texture.id(), Vec2::splat(side))).corner_radius(3.0));
            }
            None => {
                let (rect, _) = ui.allocate_exact_size(Vec2::splat(side), egui::Sense::hover());
                ui.painter().rect_filled(rect, 3.0, Color32::from_rgb(14, 16, 21));
                let font = egui::FontId::proportional(12.0);
                ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, missing, font, theme::MUTED);
            }
        }
    });
}

/// How the shown tick was decided.
fn facts(ui: &mut Ui, session: &Session) {
    let Some(record) = session.shown() else { return };
    let report = &record.report;
    let mut fact = |name: &str, value: String| {
        ui.label(RichText::new(name).small().color(theme::MUTED));
        ui.label(value);
    };
    let decided = if record.followed_recording { "planned, not done, by" } else { "decided by" };
    fact(decided, format!("{}, {}", report.mode, report.mode_reason));
    fact("predicted states", report.predicted_states.to_string());
    if let Some(fallback) = report.fallback {
        fact("no time to search", format!("{fallback:?}"));
    }
    if let Some(recalled) = &record.recalled {
        let nearest = recalled.nearest_tick.map_or_else(|| "none".into(), |tick| format!("tick {tick}"));
        fact("memory: nearest, coverage", format!("{nearest}, {:.2}", recalled.kernel_density));
    }
}

//! Time: pause, single ticks, speed, the run so far, back to any tick, undo, save.

use std::path::PathBuf;

use bevy_egui::egui::{RichText, Slider, Ui};
use mindseye_runs::{Order, Pace};

use super::named;
use crate::session::{Cursor, Session};
use crate::theme;

/// Speeds that are offered, 1 for real time.
const SPEEDS: [f64; 5] = [0.1, 0.25, 0.5, 1.0, 4.0];

/// Draws the panel.
pub fn show(ui: &mut Ui, session: &mut Session) {
    ui.add_space(6.0);
    ui.horizontal(|ui| transport(ui, session));
    ui.horizontal(|ui| scrubber(ui, session));
}

/// Stops the run before its next tick, or lets it go on.
pub fn toggle_pause(session: &mut Session) {
    session.order(if session.run.is_paused { Order::Resume } else { Order::Pause });
}

fn transport(ui: &mut Ui, session: &mut Session) {
    let text = if session.run.is_paused { "Go on" } else { "Pause" };
    if named("pause", ui.button(text)).clicked() {
        toggle_pause(session);
    }
    if named("one tick", ui.add_enabled(session.run.is_paused, bevy_egui::egui::Button::new("One tick"))).clicked() {
        session.order(Order::Step);
    }
    ui.separator();
    ui.label(RichText::new("speed").color(theme::MUTED));
    let mut speed = session.run.speed;
    for offered in SPEEDS {
        named(&format!("speed {offered}"), ui.selectable_value(&mut speed, offered, format!("{offered}x")));
    }
    if speed != session.run.speed {
        session.order(Order::Pace(Pace::RealTime { factor: speed }));
    }
    ui.separator();
    if named("undo", ui.button("Undo")).on_hover_text("takes back the newest command, with all after it").clicked() {
        session.order(Order::Undo);
    }
    if named("save", ui.button("Save")).on_hover_text("the run, to be loaded with --load").clicked() {
        session.order(Order::Save(PathBuf::from(session.run.file_name())));
    }
    if let Some((done, of)) = session.run.repeating {
        ui.separator();
        ui.colored_label(theme::WARN, format!("repeats tick {done} of {of}"));
        if named("cancel", ui.button("Cancel")).on_hover_text("leaves the run as it was").clicked() {
            session.order(Order::Cancel);
        }
    } else if let Cursor::At(tick) = session.cursor {
        ui.separator();
        let button = ui.button(format!("Go on from tick {tick}"));
        if named("go on from here", button).on_hover_text("drops what came after it").clicked() {
            session.order(Order::GoBackTo(tick as u64));
        }
        if named("live", ui.button("Newest")).clicked() {
            session.show(Cursor::Live);
        }
    }
}

fn scrubber(ui: &mut Ui, session: &mut Session) {
    let newest = session.run.records.len().saturating_sub(1);
    let mut tick = match session.cursor {
        Cursor::Live => newest,
        Cursor::At(tick) => tick.min(newest),
    };
    ui.label(RichText::new("tick").color(theme::MUTED));
    ui.spacing_mut().slider_width = (ui.available_width() - 70.0).max(120.0);
    if named("tick", ui.add(Slider::new(&mut tick, 0..=newest.max(1)))).changed() && newest > 0 {
        session.show(if tick >= newest { Cursor::Live } else { Cursor::At(tick) });
    }
}

//! The panels around the scene: controls on the left, what the agent sees and thinks of it on the right, time below.

mod charts;
mod controls;
mod images;
mod timeline;

use bevy::prelude::*;
use bevy_egui::egui::{self, Id, Layout, PointerButton, Rect, Response, Sense, Ui, UiBuilder};
use bevy_egui::{EguiContexts, egui::Align};

use crate::pointer::ScenePointer;
use crate::session::{Cursor, Session};
use crate::theme;
use mindseye_runs::LatentMap;

use self::images::Textures;

/// Width of the panel of controls, points.
const CONTROLS_WIDTH: f32 = 216.0;
/// Width of the panel of images and charts, points.
const INSIGHT_WIDTH: f32 = 372.0;
/// Height of the panel of time, points.
const TIMELINE_HEIGHT: f32 = 68.0;

/// Height of the text that says what colours mean, points.
const COLOURS_HEIGHT: f32 = 54.0;

/// What panels keep from frame to frame.
#[derive(Resource, Default)]
pub struct Panels {
    textures: Textures,
    map: Option<LatentMap>,
    is_styled: bool,
}

/// Where the control called `name` was drawn last, in points of the window: for tests, and for programs that drive the
/// window.
pub fn control_area(context: &egui::Context, name: &str) -> Option<Rect> {
    context.data(|data| data.get_temp(control_id(name)))
}

fn control_id(name: &str) -> Id {
    Id::new(("control", name))
}

/// Remembers where a control is.
fn named(name: &str, response: Response) -> Response {
    response.ctx.data_mut(|data| data.insert_temp(control_id(name), response.rect));
    response
}

/// Draws all panels, and finds out what the pointer does over the scene.
pub fn show(
    mut contexts: EguiContexts,
    mut session: ResMut<Session>,
    mut panels: ResMut<Panels>,
    mut pointer: ResMut<ScenePointer>,
) -> Result {
    let context = contexts.ctx_mut()?.clone();
    let panels = &mut *panels;
    if !std::mem::replace(&mut panels.is_styled, true) {
        theme::apply(&context);
    }
    let all = UiBuilder::new().layer_id(egui::LayerId::background()).max_rect(context.viewport_rect());
    let mut ui = Ui::new(context.clone(), Id::new("window"), all);
    let session = &mut *session;
    keys(&context, session);
    egui::Panel::bottom("time").exact_size(TIMELINE_HEIGHT).show(&mut ui, |ui| timeline::show(ui, session));
    egui::Panel::left("controls").exact_size(CONTROLS_WIDTH).resizable(false).show(&mut ui, |ui| {
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| controls::show(ui, session));
    });
    egui::Panel::right("insight").exact_size(INSIGHT_WIDTH).resizable(false).show(&mut ui, |ui| {
        images::show(ui, session, &mut panels.textures);
        charts::show(ui, session, &mut panels.map);
    });
    let rect = ui.available_rect_before_wrap();
    overlay(&mut ui, rect, session);
    let response = ui.interact(rect, Id::new("scene"), Sense::click_and_drag());
    *pointer = pointer_over(&context, rect, &response);
    Ok(())
}

/// Keys: Space pauses, arrows go through time.
fn keys(context: &egui::Context, session: &mut Session) {
    if context.egui_wants_keyboard_input() {
        return;
    }
    let pressed = |key: egui::Key| context.input(|input| input.key_pressed(key));
    if pressed(egui::Key::Space) {
        timeline::toggle_pause(session);
    }
    if pressed(egui::Key::ArrowLeft) {
        session.scrub(-1);
    }
    if pressed(egui::Key::ArrowRight) {
        session.scrub(1);
    }
    if pressed(egui::Key::End) {
        session.show(Cursor::Live);
    }
}

/// A dark ground for text over the scene, whose floor may be white.
fn dark() -> egui::Frame {
    egui::Frame::new().fill(theme::GROUND).corner_radius(4.0).inner_margin(6.0)
}

/// What is said over the scene itself: what is shown, and what the colours mean.
fn overlay(ui: &mut Ui, rect: Rect, session: &Session) {
    let inner = rect.shrink(8.0);
    let mut above = ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::top_down(Align::Min)));
    dark().show(&mut above, |ui| state_of_run(ui, session));
    let corner = egui::pos2(inner.left(), inner.bottom() - COLOURS_HEIGHT);
    let inner = Rect::from_min_max(corner, inner.max);
    let mut below = ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::top_down(Align::Min)));
    dark().show(&mut below, |ui| meaning_of_colours(ui, session));
}

/// Which run is shown, and how far it is.
fn state_of_run(ui: &mut Ui, session: &Session) {
    ui.label(egui::RichText::new(session.run.title()).heading().color(theme::INK));
    let Some(record) = session.shown() else {
        ui.label("waiting for the first plan");
        return;
    };
    let step = session.shown_step();
    let (state, colour) = match step {
        Some(step) if step.strict => ("at the goal, strictly", theme::GOOD),
        Some(step) if step.moderate => ("at the goal", theme::GOOD),
        Some(_) | None => ("under way", theme::MUTED),
    };
    ui.horizontal(|ui| {
        ui.colored_label(colour, state);
        if let Some(step) = step {
            ui.colored_label(theme::MUTED, format!("true distance {:.3} m", step.distance));
        }
        let newest = session.run.records.len() as u64 - 1;
        if record.tick < newest {
            ui.colored_label(theme::WARN, format!("tick {} of {newest}", record.tick));
        }
    });
    if let Some(error) = &record.report.error {
        ui.colored_label(theme::BAD, format!("holds still: {error}"));
    }
    if let Some(reason) = &session.run.ended {
        ui.colored_label(theme::BAD, reason);
    }
}

/// The colours of what is imagined, and what the mouse does.
fn meaning_of_colours(ui: &mut Ui, session: &Session) {
    ui.horizontal(|ui| {
        for (name, rgb) in [("goal", theme::GOAL), ("best plan", theme::BEST), ("worse candidates", theme::energy(1.0))]
        {
            ui.colored_label(theme::colour32(rgb), format!("■ {name}"));
        }
        if session.shown().is_some_and(|record| !record.samples.is_empty()) {
            ui.colored_label(theme::colour32(theme::SAMPLE), "■ samples of its outcome");
        }
    });
    ui.colored_label(theme::MUTED, "drag goal or bodies (Shift turns) · right button orbits · wheel zooms");
}

/// What the pointer does over the scene.
fn pointer_over(context: &egui::Context, rect: Rect, response: &Response) -> ScenePointer {
    let at = response.interact_pointer_pos().map(|at| [at.x, at.y]);
    let is_main = response.dragged_by(PointerButton::Primary);
    let dragged_by = |button: PointerButton| {
        let moved = if response.dragged_by(button) { response.drag_delta() } else { egui::Vec2::ZERO };
        [moved.x, moved.y]
    };
    ScenePointer {
        area: [rect.left(), rect.top(), rect.width(), rect.height()],
        // A drag begins some pixels on: what was pressed is where it began.
        pressed: context
            .input(|input| input.pointer.press_origin())
            .filter(|_| response.drag_started_by(PointerButton::Primary))
            .map(|at| [at.x, at.y]),
        held: at.filter(|_| is_main),
        moved: dragged_by(PointerButton::Primary),
        released: response.drag_stopped_by(PointerButton::Primary),
        turns: context.input(|input| input.modifiers.shift),
        orbit: dragged_by(PointerButton::Secondary),
        pan: dragged_by(PointerButton::Middle),
        zoom: if response.hovered() { context.input(|input| input.smooth_scroll_delta().y) } else { 0.0 },
    }
}

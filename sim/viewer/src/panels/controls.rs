//! What a person may change while the agent runs. Everything takes effect between two ticks.

use bevy_egui::egui::{self, RichText, Slider, Ui};
use mindseye_agent::configurator::PlannerConfig;
use mindseye_runs::Command;

use super::named;
use crate::session::Session;
use crate::theme;

/// Modes by their names in task files, and what they mean.
const MODES: [(&str, &str); 3] = [("mode_2", "plans"), ("mode_1", "policy alone"), ("auto", "as needed")];
/// Longest horizon that the slider offers, action chunks.
const LONGEST_HORIZON: usize = 12;
/// Largest weight of a slider.
const LARGEST_WEIGHT: f32 = 10.0;
/// Strongest wind, as a share of the largest action.
const STRONGEST_WIND: f32 = 0.6;

/// Draws the controls.
pub fn show(ui: &mut Ui, session: &mut Session) {
    ui.add_space(4.0);
    goal(ui, session);
    planning(ui, session);
    weights(ui, session);
    world(ui, session);
    drawing(ui, session);
}

fn heading(ui: &mut Ui, text: &str) {
    ui.add_space(6.0);
    ui.label(RichText::new(text).strong().color(theme::MUTED));
}

fn goal(ui: &mut Ui, session: &mut Session) {
    heading(ui, "GOAL");
    if named("this view is the goal", ui.button("This view is the goal")).clicked() {
        session.command(Command::GoalIsNow {});
    }
}

fn planning(ui: &mut Ui, session: &mut Session) {
    heading(ui, "PLANNING");
    let mut chosen = session.settings.mode.clone();
    ui.horizontal(|ui| {
        for (mode, meaning) in MODES {
            named(mode, ui.selectable_value(&mut chosen, mode.to_owned(), meaning));
        }
    });
    if chosen != session.settings.mode {
        session.settings.mode.clone_from(&chosen);
        session.command(Command::SetMode { mode: chosen });
    }
    let mut planner = session.settings.planner.clone();
    let list = egui::ComboBox::from_id_salt("planner").selected_text(&planner).width(150.0);
    let shown = list.show_ui(ui, |ui| {
        for kind in PlannerConfig::KINDS {
            named(&format!("planner {kind}"), ui.selectable_value(&mut planner, kind.to_owned(), kind));
        }
    });
    named("planner", shown.response);
    if planner != session.settings.planner {
        session.settings.planner.clone_from(&planner);
        session.command(Command::SetPlanner { kind: planner });
    }
    let (mut horizon, mut every) = (session.settings.horizon, session.settings.replan_every);
    ui.label("horizon, action chunks");
    let slider = named("horizon", ui.add(Slider::new(&mut horizon, 1..=LONGEST_HORIZON)));
    if settled(&slider) {
        session.command(Command::SetHorizon { chunks: horizon });
    }
    session.settings.horizon = horizon;
    ui.label("control steps between plans");
    let slider = named("replan every", ui.add(Slider::new(&mut every, 1..=session.settings.action_chunk)));
    if settled(&slider) {
        session.command(Command::SetReplanEvery { steps: every });
    }
    session.settings.replan_every = every;
}

/// Whether a slider has come to rest: what is asked for on the way would only hold up the run.
fn settled(slider: &egui::Response) -> bool {
    slider.drag_stopped() || (slider.changed() && !slider.dragged())
}

fn weights(ui: &mut Ui, session: &mut Session) {
    heading(ui, "WEIGHTS OF COSTS");
    let mut asked = None;
    for (name, weight) in &mut session.settings.weights {
        ui.label(name.as_str());
        let slider = Slider::new(weight, 0.0..=LARGEST_WEIGHT).logarithmic(true).smallest_positive(0.001);
        let slider = named(&format!("weight {name}"), ui.add(slider));
        if slider.drag_stopped() || (slider.changed() && !slider.dragged()) {
            asked = Some(Command::SetWeight { name: name.clone(), weight: *weight });
        }
    }
    if let Some(command) = asked {
        session.command(command);
    }
}

fn world(ui: &mut Ui, session: &mut Session) {
    if let Some(mut follow) = session.settings.follows_recording {
        heading(ui, "THE RECORDING");
        if named("follow the recording", ui.checkbox(&mut follow, "do what was recorded")).changed() {
            session.settings.follows_recording = Some(follow);
            session.command(Command::FollowRecording { follow });
        }
    }
    heading(ui, "THE WORLD");
    let mut hidden = session.settings.camera_hidden;
    if named("hide the camera", ui.checkbox(&mut hidden, "hide the camera")).changed() {
        session.settings.camera_hidden = hidden;
        session.command(Command::HideCamera { hidden });
    }
    let mut wind = session.settings.wind.clone();
    let mut is_settled = false;
    for (axis, drift) in wind.iter_mut().enumerate() {
        let name = ["wind to the right", "wind downwards"].get(axis).copied().unwrap_or("wind");
        ui.label(name);
        let slider = named(name, ui.add(Slider::new(drift, -STRONGEST_WIND..=STRONGEST_WIND).fixed_decimals(2)));
        is_settled |= settled(&slider);
    }
    session.settings.wind.clone_from(&wind);
    if is_settled {
        session.command(Command::SetWind { drift: wind });
    }
}

fn drawing(ui: &mut Ui, session: &mut Session) {
    heading(ui, "SHOWN");
    named("show best plan", ui.checkbox(&mut session.display.best, "best plan"));
    named("show candidates", ui.checkbox(&mut session.display.candidates, "candidates"));
    named("show samples", ui.checkbox(&mut session.display.samples, "samples of its outcome"));
    if let Some(note) = session.note() {
        ui.add_space(8.0);
        ui.colored_label(theme::WARN, note);
    }
}

//! The window, rendered offscreen and driven by injected input. Needs a Vulkan driver, also one in software (Debian:
//! libvulkan1, mesa-vulkan-drivers); where there is none the test says so.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::OnceLock;

use bevy::prelude::*;
use bevy_egui::{EguiContext, EguiInput, egui};
use clap::Parser;
use mindseye_interface::Image as RgbImage;
use mindseye_runs::{Command, TickRecord};
use mindseye_viewer::offscreen::Offscreen;
use mindseye_viewer::{Cursor, RunArguments, View, control_area, prepare};

const SIZE: [u32; 2] = [1280, 720];

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    setup: RunArguments,
}

/// Whether images can be rendered here; says so where they cannot.
fn can_render() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let can = mindseye_viewer::offscreen::has_driver();
        if !can {
            eprintln!("no Vulkan driver: the window is not tested (libvulkan1, mesa-vulkan-drivers)");
        }
        can
    })
}

/// A window on a run that waits before its first tick.
fn window(words: &[&str]) -> Offscreen {
    let arguments = Arguments::parse_from([&["viewer"], words, &["--paused", "--candidates", "24"]].concat());
    Offscreen::new(prepare(&arguments.setup).unwrap(), View::default(), SIZE).unwrap()
}

fn input(window: &mut Offscreen, events: impl IntoIterator<Item = egui::Event>) {
    let world = window.app().world_mut();
    let mut inputs = world.query::<&mut EguiInput>();
    inputs.single_mut(world).unwrap().0.events.extend(events);
}

fn moved(at: [f32; 2]) -> egui::Event {
    egui::Event::PointerMoved(at.into())
}

fn button(at: [f32; 2], pressed: bool) -> egui::Event {
    button_of(egui::PointerButton::Primary, at, pressed)
}

fn button_of(button: egui::PointerButton, at: [f32; 2], pressed: bool) -> egui::Event {
    egui::Event::PointerButton { pos: at.into(), button, pressed, modifiers: egui::Modifiers::NONE }
}

/// Presses at the first of `points`, goes over the others and lets go at the last.
fn drag(window: &mut Offscreen, points: &[[f32; 2]]) {
    input(window, [moved(points[0])]);
    window.frame();
    input(window, [button(points[0], true)]);
    window.frame();
    for point in points {
        input(window, [moved(*point)]);
        window.frame();
    }
    input(window, [button(points[points.len() - 1], false)]);
    (0..3).for_each(|_| window.frame());
}

/// The middle of the control called `name`, points.
fn control(window: &mut Offscreen, name: &str) -> egui::Rect {
    window.frame();
    let world = window.app().world_mut();
    let mut contexts = world.query::<&mut EguiContext>();
    let mut context = contexts.single_mut(world).unwrap();
    control_area(context.get_mut(), name).unwrap_or_else(|| panic!("no control {name}"))
}

fn click(window: &mut Offscreen, name: &str) {
    let at: [f32; 2] = control(window, name).center().into();
    input(window, [moved(at)]);
    window.frame();
    // In one frame: where frames take long, egui would take it for holding the button.
    input(window, [button(at, true), button(at, false)]);
    (0..3).for_each(|_| window.frame());
}

/// Drags a slider called `name` to a share of its length.
fn slide(window: &mut Offscreen, name: &str, share: f32) {
    let area = control(window, name);
    // The number beside the rail belongs to the area, too.
    let rail = area.left()..area.right() - 46.0;
    let at = |share: f32| [rail.start + share * (rail.end - rail.start), area.center().y];
    drag(window, &[at(0.5), at(share)]);
}

/// Does the next tick, and gives its record.
fn tick(window: &mut Offscreen) -> std::sync::Arc<TickRecord> {
    let before = window.session().run.records.len();
    click(window, "one tick");
    window.until("a tick", |session| session.run.records.len() > before).unwrap();
    window.session().run.records[before].clone()
}

fn differs(a: &RgbImage, b: &RgbImage, at: [f32; 2], radius: i64) -> usize {
    let mut count = 0;
    for row in -radius..=radius {
        for column in -radius..=radius {
            let (row, column) = (at[1] as i64 + row, at[0] as i64 + column);
            if (0..SIZE[1] as i64).contains(&row) && (0..SIZE[0] as i64).contains(&column) {
                let (one, other) = (a.rgb(row as usize, column as usize), b.rgb(row as usize, column as usize));
                count += usize::from(one.iter().zip(other).any(|(one, other)| one.abs_diff(other) > 8));
            }
        }
    }
    count
}

#[test]
fn the_image_shows_the_block_where_the_state_says_and_ghosts_where_the_plan_goes() {
    if !can_render() {
        return;
    }
    let mut window = window(&["push_t"]);
    let record = tick(&mut window);
    click(&mut window, "show candidates");
    click(&mut window, "show best plan");
    window.session().show(Cursor::At(0));
    let image = window.image().unwrap();
    // The middle of the block's upper side: greyish blue, as the scene has it; the floor beside it is not.
    let block = [record.state[2], record.state[3]];
    let at = window.on_screen(block).unwrap();
    let [r, g, b] = image.rgb(at[1] as usize, at[0] as usize).map(i32::from);
    assert!(b > r && (b - r) < 120 && g > r - 30, "block at {at:?} is {r} {g} {b}");
    // With the candidates the image differs where the best candidate's pusher goes, and not in the far corner.
    click(&mut window, "show candidates");
    let with = window.image().unwrap();
    let end = window.session().states_of(&record.candidates[record.candidates.len() / 2]).pop().unwrap();
    let end = window.on_screen([end[0], end[1]]).unwrap();
    assert!(differs(&image, &with, end, 12) > 20, "no ghost at {end:?}");
    assert_eq!(differs(&image, &with, [4.0, 4.0], 3), 0);
}

#[test]
fn every_control_becomes_a_command_of_the_next_tick() {
    if !can_render() {
        return;
    }
    let mut window = window(&["push_t"]);
    tick(&mut window);
    click(&mut window, "this view is the goal");
    assert_eq!(tick(&mut window).commands, [Command::GoalIsNow {}]);
    click(&mut window, "mode_1");
    assert_eq!(tick(&mut window).commands, [Command::SetMode { mode: "mode_1".into() }]);
    click(&mut window, "mode_2");
    click(&mut window, "planner");
    click(&mut window, "planner icem");
    let commands = tick(&mut window).commands.clone();
    assert_eq!(commands[0], Command::SetMode { mode: "mode_2".into() });
    assert_eq!(commands[1], Command::SetPlanner { kind: "icem".into() });
    slide(&mut window, "horizon", -0.1);
    assert_eq!(tick(&mut window).commands, [Command::SetHorizon { chunks: 1 }]);
    slide(&mut window, "replan every", -0.1);
    let record = tick(&mut window);
    assert_eq!((record.commands.as_slice(), record.steps.len()), (&[Command::SetReplanEvery { steps: 1 }][..], 1));
    slide(&mut window, "weight goal_distance", 1.1);
    assert_eq!(tick(&mut window).commands, [Command::SetWeight { name: "goal_distance".into(), weight: 10.0 }]);
    click(&mut window, "hide the camera");
    let record = tick(&mut window);
    assert_eq!(record.commands, [Command::HideCamera { hidden: true }]);
    assert!(record.camera_hidden && record.image.is_none());
    slide(&mut window, "wind to the right", 1.1);
    assert!(
        matches!(&tick(&mut window).commands[..], [Command::SetWind { drift }] if drift[0] > 0.5 && drift[1] == 0.0)
    );
    // Back before the wind.
    let ticks = window.session().run.records.len();
    click(&mut window, "undo");
    window.until("undoing", |session| session.run.records.len() < ticks).unwrap();
    assert_eq!(window.session().settings.wind, [0.0, 0.0], "the control says so, too");
    assert!(window.session().settings.camera_hidden, "what came before stays");
    assert!(tick(&mut window).commands.is_empty());
    click(&mut window, "speed 4");
    window.until("another pace", |session| session.run.speed == 4.0).unwrap();
    click(&mut window, "pause");
    window.until("going on", |session| !session.run.is_paused).unwrap();
    let ticks = window.session().run.records.len();
    window.until("ticks without being asked", |session| session.run.records.len() > ticks + 1).unwrap();
}

#[test]
fn goal_and_robot_are_moved_by_hand() {
    if !can_render() {
        return;
    }
    let mut window = window(&["push_t"]);
    let record = tick(&mut window);
    let goal = record.goal_state.clone().unwrap();
    let point = |window: &mut Offscreen, at: [f64; 2]| window.on_screen(at).unwrap();
    let towards = |value: f64| value + 0.12 * (0.5 - value).signum();
    let (from, to) = ([goal[2], goal[3]], [towards(goal[2]), towards(goal[3])]);
    let points = [point(&mut window, from), point(&mut window, to)];
    drag(&mut window, &points);
    let record = tick(&mut window);
    let [Command::SetGoal { state }] = record.commands.as_slice() else { panic!("{:?}", record.commands) };
    assert!((state[2] - to[0]).abs() < 0.02 && (state[3] - to[1]).abs() < 0.02, "{state:?} for {to:?}");
    assert_eq!(record.goal_state.as_deref(), Some(state.as_slice()));
    let kept = [0, 1].map(|axis| state[axis] - state[axis + 2] - (goal[axis] - goal[axis + 2]));
    assert!(kept.iter().all(|change| change.abs() < 1e-6), "the pusher's goal goes with the block's");
    let now = window.session().shown_state().unwrap().to_vec();
    // The pusher is moved away from the block, so that they do not overlap.
    let away = [now[0] - now[2], now[1] - now[3]].map(|from| 0.08 * from / (now[0] - now[2]).hypot(now[1] - now[3]));
    let to = [now[0] + away[0], now[1] + away[1]];
    let points = [[now[0], now[1]], to].map(|at| point(&mut window, at));
    drag(&mut window, &points);
    let record = tick(&mut window);
    let [Command::MoveWorld { state }] = record.commands.as_slice() else { panic!("{:?}", record.commands) };
    assert!((state[0] - to[0]).abs() < 0.02 && (state[1] - to[1]).abs() < 0.02, "{state:?} for {to:?}");
    assert_eq!(state[2..], now[2..], "the block stays");
}

#[test]
fn the_right_button_turns_the_view_and_the_wheel_zooms() {
    if !can_render() {
        return;
    }
    let mut window = window(&["two_room"]);
    (0..4).for_each(|_| window.frame());
    let corner = [0.1, 0.1];
    let start = window.on_screen(corner).unwrap();
    let (from, to) = ([500.0, 300.0], [620.0, 300.0]);
    input(&mut window, [moved(from)]);
    window.frame();
    input(&mut window, [button_of(egui::PointerButton::Secondary, from, true)]);
    window.frame();
    input(&mut window, [moved(to)]);
    window.frame();
    input(&mut window, [button_of(egui::PointerButton::Secondary, to, false)]);
    (0..4).for_each(|_| window.frame());
    let turned = window.on_screen(corner).unwrap();
    assert!((turned[0] - start[0]).abs() > 20.0, "{start:?}, {turned:?}");
    let middle = window.on_screen([0.5, 0.5]).unwrap();
    let (delta, modifiers) = (egui::vec2(0.0, 60.0), egui::Modifiers::NONE);
    let (unit, phase) = (egui::MouseWheelUnit::Point, egui::TouchPhase::Move);
    input(&mut window, [egui::Event::MouseWheel { unit, delta, phase, modifiers }]);
    (0..12).for_each(|_| window.frame());
    let nearer = window.on_screen(corner).unwrap();
    let from_middle = |at: [f32; 2]| (at[0] - middle[0]).hypot(at[1] - middle[1]);
    assert!(from_middle(nearer) > 1.05 * from_middle(turned), "{turned:?}, {nearer:?}");
}

#[test]
fn whoever_goes_back_and_on_sees_the_same_run_again() {
    if !can_render() {
        return;
    }
    let mut window = window(&["two_room"]);
    let first: Vec<String> = (0..6).map(|_| tick(&mut window).digest()).collect();
    slide(&mut window, "tick", 0.45);
    let Cursor::At(tick_shown) = window.session().cursor else { panic!("not scrubbed") };
    assert!((1..5).contains(&tick_shown));
    assert_eq!(window.session().shown().unwrap().digest(), first[tick_shown]);
    click(&mut window, "go on from here");
    window.until("going back", |session| session.run.records.len() == tick_shown).unwrap();
    let again: Vec<String> = (tick_shown..6).map(|_| tick(&mut window).digest()).collect();
    assert_eq!(again, first[tick_shown..]);
}

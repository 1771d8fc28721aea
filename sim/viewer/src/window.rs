//! The Bevy app: which systems run when, in a window or without one.

use bevy::prelude::*;
use bevy::window::{PresentMode, WindowResolution};
use bevy::winit::{UpdateMode, WinitSettings};
use bevy_egui::{EguiGlobalSettings, EguiPlugin, EguiPrimaryContextPass};
use bevy_panorbit_camera::{PanOrbitCameraPlugin, PanOrbitCameraSystemSet};

use crate::dragging::Dragging;
use crate::eyes::{self, Target, View};
use crate::ghosts::{self, GhostMaterials};
use crate::panels::{self, Panels};
use crate::pointer::{self, ScenePointer};
use crate::session::Session;
use crate::stage;

/// Shortest time between two images, seconds: more would only take the processor from the agent.
const FRAME_SECS: f64 = 1.0 / 60.0;

/// Adds what the window consists of, apart from where it is drawn.
pub fn systems(app: &mut App, session: Session, view: View, target: Target) {
    app.add_plugins((EguiPlugin::default(), PanOrbitCameraPlugin))
        .insert_resource(session)
        .insert_resource(view)
        .insert_resource(target)
        .init_resource::<GhostMaterials>()
        .init_resource::<ScenePointer>()
        .init_resource::<Dragging>()
        .init_resource::<Panels>()
        .add_systems(PreStartup, own_context)
        .add_systems(Startup, (eyes::open, stage::build, stage::light))
        .add_systems(Update, (receive, pointer::drag, stage::place_bodies, ghosts::draw).chain())
        .add_systems(EguiPrimaryContextPass, panels::show)
        .add_systems(PostUpdate, (eyes::follow, eyes::fit).before(PanOrbitCameraSystemSet));
}

/// The panels' camera is made by [`eyes::open`], not taken to be the first.
fn own_context(mut settings: ResMut<EguiGlobalSettings>) {
    settings.auto_create_primary_context = false;
}

/// Takes what the run has done since the last frame.
fn receive(mut session: ResMut<Session>) {
    session.receive();
}

/// Opens the window and runs until it is closed.
pub fn open(session: Session, view: View, size: [u32; 2]) -> AppExit {
    let title = format!("mindseye: {}", session.run.title());
    let window = Window {
        title,
        resolution: WindowResolution::new(size[0], size[1]),
        present_mode: PresentMode::AutoVsync,
        ..default()
    };
    let plugins = DefaultPlugins.set(WindowPlugin { primary_window: Some(window), ..default() });
    let mut app = App::new();
    app.add_plugins(plugins.set(bevy::log::LogPlugin { filter: "error".into(), ..default() }));
    let pace = UpdateMode::reactive(std::time::Duration::from_secs_f64(FRAME_SECS));
    app.insert_resource(WinitSettings { focused_mode: pace, unfocused_mode: pace });
    systems(&mut app, session, view, Target::default());
    app.run()
}

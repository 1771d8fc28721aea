//! How Rerun's viewer shows the recordings at first; a person can change all of it there.

use rerun::blueprint::components::PanelState;
use rerun::blueprint::{
    Blueprint, ContainerLike, Horizontal, SelectionPanel, Spatial2DView, Spatial3DView, Tabs, TextDocumentView,
    TextLogView, TimePanel, TimeSeriesView, Vertical,
};

use crate::parts::under;

/// The application that recordings of runs belong to: all of them look alike.
pub const RUNS: &str = "mindseye_run";
/// The application that recordings of episodes belong to.
pub const EPISODES: &str = "mindseye_episode";

fn image(name: &str, origin: &str) -> ContainerLike {
    Spatial2DView::new(name).with_origin(origin).into()
}

fn chart(name: &str, origins: &[&str]) -> ContainerLike {
    TimeSeriesView::new(name).with_contents(origins.iter().map(|origin| format!("/{origin}/**"))).into()
}

/// A run: the scene and the images on the left, numbers over time on the right.
pub fn of_run() -> Blueprint {
    let images = Horizontal::new([
        image("camera", "camera/image"),
        image("goal", "camera/goal"),
        image("best plan, decoded", "camera/plan"),
    ])
    .with_column_shares(vec![1.0, 1.0, 3.0]);
    let scene = Spatial3DView::new("scene and plans").with_origin("world").into();
    let left = Vertical::new([scene, images.into()]).with_row_shares(vec![3.0, 1.0]);
    let texts = Tabs::new([
        TextLogView::new("log").with_origin("log").into(),
        TextDocumentView::new("about").with_origin("about").into(),
        chart("planning, ms", &["planning/ms"]),
        chart("action", &["action"]),
    ]);
    let right = Vertical::new([
        chart("energies, weighted", &["energy", "critic"]),
        chart("surprise", &["surprise"]),
        chart("distance to the goal", &["goal"]),
        image("latent space", "latent/map"),
        texts.into(),
    ]);
    let root = Horizontal::new([left.into(), right.into()]).with_column_shares(vec![3.0, 2.0]);
    with_panels(root, "step")
}

/// An episode of a data set with these cameras, in three dimensions where its scene is known.
pub fn of_episode(cameras: &[String], has_scene: bool) -> Blueprint {
    let mut views: Vec<ContainerLike> = Vec::new();
    if has_scene {
        views.push(Spatial3DView::new("scene").with_origin("world").into());
    }
    views.extend(
        cameras.iter().map(|camera| Spatial2DView::new(camera.clone()).with_origin(under("camera", camera)).into()),
    );
    let right = Vertical::new([
        chart("action", &["action"]),
        chart("state", &["state"]),
        chart("proprioception", &["proprioception"]),
        TextDocumentView::new("about").with_origin("about").into(),
    ]);
    let root = Horizontal::new([Vertical::new(views).into(), right.into()]).with_column_shares(vec![3.0, 2.0]);
    with_panels(root, "timestep")
}

/// The list of recordings stays, which pairs and episodes are chosen in; what is selected is shown when asked for.
fn with_panels(root: Horizontal, timeline: &str) -> Blueprint {
    Blueprint::new(root)
        .with_selection_panel(SelectionPanel::from_state(PanelState::Hidden))
        .with_time_panel(TimePanel::new().with_timeline(timeline))
}

//! The two cameras of the window: one looks at the scene, the other draws panels over it.

use bevy::camera::visibility::RenderLayers;
use bevy::camera::{CameraOutputMode, ClearColorConfig, RenderTarget, Viewport};
use bevy::prelude::*;
use bevy::render::render_resource::BlendState;
use bevy_egui::PrimaryEguiContext;
use bevy_panorbit_camera::PanOrbitCamera;

use crate::pointer::ScenePointer;
use crate::stage::{SceneCamera, scene_camera};
use crate::theme;

/// Where the camera of the scene is, around the middle of the floor.
#[derive(Resource, Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Angle around the vertical axis, degrees; 0 sees the scene as its own camera's images show it.
    pub yaw_deg: f32,
    /// Angle above the floor, degrees; 90 looks straight down.
    pub pitch_deg: f32,
    /// Distance from the middle of the floor, metres.
    pub distance_m: f32,
}

impl Default for View {
    fn default() -> Self {
        Self { yaw_deg: 0.0, pitch_deg: 58.0, distance_m: 1.62 }
    }
}

impl std::str::FromStr for View {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected YAW,PITCH,DISTANCE (degrees, degrees, metres), got {text}");
        let numbers: Result<Vec<f32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
        match numbers.as_deref() {
            Ok(&[yaw_deg, pitch_deg, distance_m])
                if yaw_deg.is_finite() && (0.0..=90.0).contains(&pitch_deg) && (0.2..=20.0).contains(&distance_m) =>
            {
                Ok(Self { yaw_deg, pitch_deg, distance_m })
            }
            _ => Err(expected()),
        }
    }
}

/// How far a pixel of the right button turns the view.
const RAD_PER_POINT: f32 = 0.006;
/// How far a pixel of the middle button moves it, per metre of distance.
const METRES_PER_POINT: f32 = 0.0013;
/// How much nearer a point of the wheel brings it, as a share of the distance.
const ZOOM_PER_POINT: f32 = 0.0025;
/// Lowest and highest angle above the floor, radians.
const PITCHES: (f32, f32) = (0.05, std::f32::consts::FRAC_PI_2);
/// Smallest and largest distance, metres.
const RADII: (f32, f32) = (0.3, 6.0);

/// What the cameras render to: the window where there is one, or an image.
#[derive(Resource, Debug, Clone, Default)]
pub struct Target(pub Option<RenderTarget>);

/// Makes both cameras.
pub fn open(mut commands: Commands, view: Res<View>, target: Res<Target>) {
    let orbit = PanOrbitCamera {
        focus: Vec3::ZERO,
        yaw: Some(view.yaw_deg.to_radians()),
        pitch: Some(view.pitch_deg.to_radians()),
        radius: Some(view.distance_m),
        // What the mouse does comes from the panels, which know where the scene is.
        enabled: false,
        orbit_smoothness: 0.0,
        zoom_smoothness: 0.0,
        pan_smoothness: 0.0,
        ..default()
    };
    let clear_color = ClearColorConfig::Custom(theme::BACKDROP);
    let scene = (scene_camera(), Camera { clear_color, ..default() }, orbit);
    let panels = (
        PrimaryEguiContext,
        Camera2d,
        // Nothing but panels.
        RenderLayers::none(),
        Camera {
            order: 1,
            output_mode: CameraOutputMode::Write {
                blend_state: Some(BlendState::ALPHA_BLENDING),
                clear_color: ClearColorConfig::None,
            },
            clear_color: ClearColorConfig::Custom(Color::NONE),
            ..default()
        },
    );
    let (scene, panels) = (commands.spawn(scene).id(), commands.spawn(panels).id());
    if let Some(target) = &target.0 {
        commands.entity(scene).insert(target.clone());
        commands.entity(panels).insert(target.clone());
    }
}

/// Turns, moves and zooms the view as the mouse does over the scene.
pub fn follow(pointer: Res<ScenePointer>, mut camera: Single<(&Transform, &mut PanOrbitCamera), With<SceneCamera>>) {
    let (transform, orbit) = &mut *camera;
    let [yaw, pitch] = pointer.orbit.map(|points| points * RAD_PER_POINT);
    let metres = orbit.target_radius * METRES_PER_POINT;
    let [right, down] = pointer.pan.map(|points| points * metres);
    orbit.target_yaw -= yaw;
    orbit.target_pitch = (orbit.target_pitch + pitch).clamp(PITCHES.0, PITCHES.1);
    orbit.target_radius = (orbit.target_radius * (-pointer.zoom * ZOOM_PER_POINT).exp()).clamp(RADII.0, RADII.1);
    // On the floor, so that it stays what is looked at.
    let backwards = transform.right().cross(Vec3::Y);
    orbit.target_focus -= transform.right() * right + backwards * down;
}

/// Gives the scene the part of the window that the panels leave free.
pub fn fit(pointer: Res<ScenePointer>, mut camera: Single<&mut Camera, With<SceneCamera>>) {
    let scale = camera.target_scaling_factor().unwrap_or(1.0);
    let Some(target) = camera.physical_target_size() else { return };
    let [left, top, width, height] = pointer.area.map(|points| (points * scale).round().max(0.0) as u32);
    let (width, height) = (width.min(target.x.saturating_sub(left)), height.min(target.y.saturating_sub(top)));
    if width < 8 || height < 8 {
        return;
    }
    let viewport =
        Viewport { physical_position: UVec2::new(left, top), physical_size: UVec2::new(width, height), ..default() };
    let is_same = camera.viewport.as_ref().is_some_and(|known| {
        known.physical_position == viewport.physical_position && known.physical_size == viewport.physical_size
    });
    if !is_same {
        camera.viewport = Some(viewport);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_three_numbers() {
        let view: View = "30, 45,1.5".parse().unwrap();
        assert_eq!(view, View { yaw_deg: 30.0, pitch_deg: 45.0, distance_m: 1.5 });
        for wrong in ["", "1,2", "0,95,1", "0,45,nan", "0,45,0"] {
            assert!(wrong.parse::<View>().unwrap_err().contains("YAW,PITCH,DISTANCE"), "{wrong}");
        }
    }
}

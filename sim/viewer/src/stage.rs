//! The scene in three dimensions: floor, walls, bodies, the goal, light.

use bevy::camera::visibility::RenderLayers;
use bevy::core_pipeline::tonemapping::Tonemapping;
use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use mindseye_sim::figure::{Body, Solid, SolidShape};
use nalgebra::Isometry3;

use crate::dragging::Dragging;
use crate::geometry::Placement;
use crate::session::Session;
use crate::theme;

/// Height of the table under the floor, metres.
const TABLE_M: f32 = 0.02;
/// How far the table reaches beyond the floor, metres.
const TABLE_EDGE_M: f32 = 0.06;
/// By how much the floor is smaller than the scene, metres.
const FLOOR_INSET_M: f32 = 0.01;
/// Sides of a drawn cylinder.
const CYLINDER_SIDES: u32 = 48;

/// Meshes of the figure's bodies, and where the scene lies.
#[derive(Resource)]
pub struct Stage {
    /// The window's coordinates of the scene.
    pub placement: Placement,
    /// For every body its solids: mesh, place in the body, colour.
    pub bodies: Vec<Vec<(Handle<Mesh>, Transform, [u8; 3])>>,
}

/// A body as it is.
#[derive(Component)]
pub struct ActualBody(usize);

/// A body as the goal has it.
#[derive(Component)]
pub struct GoalBody(usize);

/// The camera that looks at the scene.
#[derive(Component)]
pub struct SceneCamera;

/// What is drawn of a solid.
pub fn mesh_of(shape: SolidShape) -> Mesh {
    match shape {
        // Axes as the window has them: its y is the scene's -z.
        SolidShape::Cuboid { half_extents: half } => Cuboid::new(2.0 * half.x, 2.0 * half.z, 2.0 * half.y).into(),
        SolidShape::Cylinder { radius_m, half_height_m } => {
            Cylinder::new(radius_m, 2.0 * half_height_m).mesh().resolution(CYLINDER_SIDES).build()
        }
    }
}

/// A colour of a solid.
pub fn colour([r, g, b]: [u8; 3]) -> Color {
    Color::srgb_u8(r, g, b)
}

/// Builds everything that stays, and the bodies.
pub fn build(
    mut commands: Commands,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
    session: Res<Session>,
) {
    let figure = &session.figure;
    let placement = Placement { side_m: figure.side_m as f32, floor_z_m: figure.floor_z_m };
    let matt = |rgb: Color| StandardMaterial { base_color: rgb, perceptual_roughness: 0.85, ..default() };
    let side = placement.side_m;
    let slab =
        |side: f32, top: f32| (Cuboid::new(side, TABLE_M, side), Transform::from_xyz(0.0, top - TABLE_M / 2.0, 0.0));
    // The floor ends within the outer walls, whose faces it would share.
    let floor = (side - FLOOR_INSET_M, colour(figure.floor_rgb), 0.0);
    for (part, rgb, top) in [(side + TABLE_EDGE_M, theme::TABLE, -0.004), floor] {
        let (mesh, transform) = slab(part, top);
        commands.spawn((Mesh3d(meshes.add(mesh)), MeshMaterial3d(materials.add(matt(rgb))), transform));
    }
    for solid in &figure.fixed {
        commands.spawn((
            Mesh3d(meshes.add(mesh_of(solid.shape))),
            MeshMaterial3d(materials.add(matt(colour(solid.rgb)))),
            placement.transform(&solid.body_from_solid),
        ));
    }
    let solid_of = |solid: &Solid, meshes: &mut Assets<Mesh>| {
        (meshes.add(mesh_of(solid.shape)), Placement::within(&solid.body_from_solid), solid.rgb)
    };
    let of_body = |body: &Body, meshes: &mut Assets<Mesh>| -> Vec<_> {
        body.solids.iter().map(|solid| solid_of(solid, meshes)).collect()
    };
    let bodies: Vec<Vec<_>> = figure.bodies.iter().map(|body| of_body(body, &mut meshes)).collect();
    let [r, g, b] = theme::GOAL;
    let goal_material = materials.add(StandardMaterial {
        base_color: Color::srgba(r, g, b, 0.42),
        alpha_mode: AlphaMode::Blend,
        perceptual_roughness: 0.9,
        ..default()
    });
    for (index, solids) in bodies.iter().enumerate() {
        commands.spawn((ActualBody(index), Transform::default(), Visibility::Hidden)).with_children(|body| {
            for (mesh, transform, rgb) in solids {
                let material = StandardMaterial { perceptual_roughness: 0.45, ..matt(colour(*rgb)) };
                body.spawn((Mesh3d(mesh.clone()), MeshMaterial3d(materials.add(material)), *transform));
            }
        });
        commands.spawn((GoalBody(index), Transform::default(), Visibility::Hidden)).with_children(|body| {
            for (mesh, transform, _) in solids {
                // A little smaller: where it coincides with the body itself, the body is seen.
                let transform = transform.with_scale(Vec3::new(0.985, 0.9, 0.985));
                let drawn = (Mesh3d(mesh.clone()), MeshMaterial3d(goal_material.clone()), transform);
                body.spawn((NotShadowCaster, drawn));
            }
        });
    }
    commands.insert_resource(Stage { placement, bodies });
}

/// Light from above with shadows.
pub fn light(mut commands: Commands) {
    commands.insert_resource(GlobalAmbientLight { brightness: 330.0, ..default() });
    commands.spawn((
        DirectionalLight { illuminance: 3700.0, shadow_maps_enabled: true, ..default() },
        bevy::light::CascadeShadowConfigBuilder { maximum_distance: 6.0, num_cascades: 1, ..default() }.build(),
        Transform::from_xyz(-0.9, 1.9, 0.8).looking_at(Vec3::ZERO, Vec3::Y),
    ));
}

/// What a scene camera has beside its target and its place.
pub fn scene_camera() -> impl Bundle {
    (
        SceneCamera,
        Camera3d::default(),
        // Colours are those of the camera's images, as far as light and shadow leave them.
        Tonemapping::None,
        Msaa::Sample4,
        RenderLayers::default(),
    )
}

/// Puts the bodies where the shown state has them, and the goal where a person drags it.
pub fn place_bodies(
    session: Res<Session>,
    stage: Res<Stage>,
    dragging: Res<Dragging>,
    mut actual: Query<(&ActualBody, &mut Transform, &mut Visibility), Without<GoalBody>>,
    mut goal: Query<(&GoalBody, &mut Transform, &mut Visibility), Without<ActualBody>>,
) {
    let poses = |state: Option<&[f64]>| state.map(|state| session.figure.poses(state)).unwrap_or_default();
    let shown = poses(dragging.world().or_else(|| session.shown_state()));
    for (body, mut transform, mut visibility) in &mut actual {
        place(&stage.placement, shown.get(body.0), &mut transform, &mut visibility);
    }
    let goal_state = session.shown().and_then(|record| record.goal_state.as_deref());
    let wanted = poses(dragging.goal().or(goal_state));
    for (body, mut transform, mut visibility) in &mut goal {
        place(&stage.placement, wanted.get(body.0), &mut transform, &mut visibility);
    }
}

fn place(placement: &Placement, pose: Option<&Isometry3<f32>>, transform: &mut Transform, visibility: &mut Visibility) {
    match pose {
        Some(pose) => {
            *transform = placement.transform(pose);
            *visibility = Visibility::Inherited;
        }
        None => *visibility = Visibility::Hidden,
    }
}

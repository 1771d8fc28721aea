//! A scene from above, for displays that know no scenes.

use serde::Serialize;

/// Gives the pose of every body in a state `[K]`: x and y, metres, and its angle, radians.
pub type Poses = Box<dyn Fn(&[f64]) -> Vec<[f64; 3]> + Send + Sync>;

/// A scene from above, in the coordinates of its camera's image: x to the right, y down, metres.
#[derive(Serialize)]
pub struct TopView {
    /// Side of the square floor, metres.
    pub side_m: f64,
    /// Colour of the floor, RGB.
    pub floor_rgb: [u8; 3],
    /// What never moves.
    pub fixed: Vec<Outline>,
    /// What moves.
    pub bodies: Vec<OutlinedBody>,
    /// Where the bodies are, in their order.
    #[serde(skip)]
    pub poses: Poses,
}

/// Solids that move together.
#[derive(Debug, Clone, Serialize)]
pub struct OutlinedBody {
    /// Its name: dimensions of the state that begin with it are about it.
    pub name: String,
    /// What it consists of, in its own coordinates.
    pub solids: Vec<Outline>,
}

/// A polygon of one colour.
#[derive(Debug, Clone, Serialize)]
pub struct Outline {
    /// Colour, RGB.
    pub rgb: [u8; 3],
    /// Its corners, metres.
    pub corners: Vec<[f32; 2]>,
}

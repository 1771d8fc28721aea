//! The same window without a display: rendered into an image, on any Vulkan driver, also one in software.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bevy::asset::RenderAssetUsages;
use bevy::camera::RenderTarget;
use bevy::log::LogPlugin;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::gpu_readback::{Readback, ReadbackComplete};
use bevy::render::pipelined_rendering::PipelinedRenderingPlugin;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat, TextureUsages};
use bevy::render::settings::WgpuSettings;
use bevy::window::ExitCondition;
use bevy::winit::WinitPlugin;
use mindseye_episodes::image_codec::encode_png;
use mindseye_interface::{Image as RgbImage, ImageSize, files};
use mindseye_runs::Order;

use crate::eyes::{Target, View};
use crate::session::{Cursor, Session};
use crate::stage::{SceneCamera, Stage};
use crate::window::systems;

/// Longest time to wait for a tick or an image, seconds.
const PATIENCE: Duration = Duration::from_secs(120);
/// Images that are drawn before one counts, so that panels know their sizes and pipelines are compiled.
const WARM_UP: usize = 6;
/// Bytes that a row of an image on the graphics card is a multiple of.
const ROW_ALIGNMENT: usize = 256;

/// Whether there is a graphics driver that images can be rendered with.
pub fn has_driver() -> bool {
    let backends = wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapters = bevy::tasks::block_on(instance.enumerate_adapters(backends));
    !adapters.is_empty()
}

/// A window that nobody sees.
pub struct Offscreen {
    app: App,
    size: ImageSize,
    received: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Offscreen {
    /// Renders `session` in images of `size`, `[width, height]`.
    ///
    /// # Errors
    /// When the size is not one of an image.
    pub fn new(session: Session, view: View, [width, height]: [u32; 2]) -> Result<Self> {
        let size = ImageSize::new(height as usize, width as usize)?;
        let mut app = App::new();
        let window = WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() };
        // Others would look for a display.
        let settings = WgpuSettings { backends: Some(wgpu::Backends::PRIMARY), ..default() };
        let render = RenderPlugin { render_creation: settings.into(), ..default() };
        let plugins = DefaultPlugins.set(window).set(render).disable::<LogPlugin>();
        app.add_plugins(plugins.disable::<WinitPlugin>().disable::<PipelinedRenderingPlugin>());
        let extent = Extent3d { width, height, depth_or_array_layers: 1 };
        let format = TextureFormat::Rgba8UnormSrgb;
        let mut image = Image::new_fill(extent, TextureDimension::D2, &[0; 4], format, RenderAssetUsages::RENDER_WORLD);
        image.texture_descriptor.usage |= TextureUsages::RENDER_ATTACHMENT | TextureUsages::COPY_SRC;
        let handle = app.world_mut().resource_mut::<Assets<Image>>().add(image);
        systems(&mut app, session, view, Target(Some(RenderTarget::Image(handle.clone().into()))));
        let received: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
        let place = received.clone();
        app.world_mut().spawn(Readback::texture(handle)).observe(move |image: On<ReadbackComplete>| {
            if let Ok(mut place) = place.lock() {
                *place = Some(image.data.clone());
            }
        });
        app.finish();
        app.cleanup();
        Ok(Self { app, size, received })
    }

    /// The Bevy app, for whoever wants to reach in.
    pub fn app(&mut self) -> &mut App {
        &mut self.app
    }

    /// The run.
    pub fn session(&mut self) -> Mut<'_, Session> {
        self.app.world_mut().resource_mut::<Session>()
    }

    /// One frame.
    pub fn frame(&mut self) {
        self.app.update();
    }

    /// Goes on until `done` says so of the run.
    ///
    /// # Errors
    /// When that takes too long, or the run ends before.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&Session) -> bool) -> Result<()> {
        let started = Instant::now();
        loop {
            self.app.update();
            let session = self.app.world().resource::<Session>();
            if done(session) {
                return Ok(());
            }
            if let Some(reason) = &session.run.ended {
                bail!("waiting for {what}: the run ended: {reason}");
            }
            if started.elapsed() > PATIENCE {
                bail!("waiting for {what}: expected it within {} s", PATIENCE.as_secs());
            }
        }
    }

    /// Where a point on the floor of the scene (x, y, metres) is in the window, points; `None` where it is not seen.
    pub fn on_screen(&mut self, [x, y]: [f64; 2]) -> Option<[f32; 2]> {
        let world = self.app.world_mut();
        let placement = world.get_resource::<Stage>()?.placement;
        let point = placement.point([x as f32, y as f32, placement.floor_z_m]);
        let mut cameras = world.query_filtered::<(&Camera, &GlobalTransform), With<SceneCamera>>();
        let (camera, transform) = cameras.single(world).ok()?;
        let at = camera.world_to_viewport(transform, point).ok()?;
        Some([at.x, at.y])
    }

    /// One more tick of a run that waits.
    ///
    /// # Errors
    /// As [`Offscreen::until`].
    pub fn tick(&mut self) -> Result<()> {
        let before = self.session().run.records.len();
        self.session().order(Order::Step);
        self.until("a tick", |session| session.run.records.len() > before)
    }

    /// The image of the window as it is now.
    ///
    /// # Errors
    /// When none comes, as where the graphics driver does not work.
    pub fn image(&mut self) -> Result<RgbImage> {
        let (started, mut frames) = (Instant::now(), 0);
        self.take();
        loop {
            self.app.update();
            if let Some(image) = self.take() {
                frames += 1;
                // Until its pipelines are compiled the scene is one colour.
                if frames > WARM_UP && is_varied(&image) {
                    return Ok(image);
                }
            }
            if started.elapsed() > PATIENCE {
                bail!("expected an image of the window within {} s, got none", PATIENCE.as_secs());
            }
        }
    }

    /// The newest image that came back from the graphics card.
    fn take(&mut self) -> Option<RgbImage> {
        let bytes = self.received.lock().ok()?.take()?;
        let (width, height) = (self.size.width(), self.size.height());
        let row = (4 * width).next_multiple_of(ROW_ALIGNMENT);
        let stride = if bytes.len() >= row * height { row } else { 4 * width };
        let rows = bytes.chunks(stride).take(height);
        let pixels =
            rows.flat_map(|row| row[..4 * width].chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]));
        RgbImage::new(self.size, pixels.collect()).ok()
    }
}

/// Whether the middle of `image` has more than one colour.
fn is_varied(image: &RgbImage) -> bool {
    let (width, height) = (image.size().width(), image.size().height());
    let first = image.rgb(height / 4, width / 3);
    (height / 4..3 * height / 4).any(|row| (width / 3..width / 2).any(|column| image.rgb(row, column) != first))
}

/// Writes an image of the window at tick number `ticks`, decided and not yet executed, to `path`. The run is one that
/// waits.
///
/// # Errors
/// As [`Offscreen::image`]; when the file cannot be written.
pub fn screenshot(session: Session, view: View, size: [u32; 2], ticks: usize, path: &Path) -> Result<()> {
    let mut window = Offscreen::new(session, view, size)?;
    for _ in 0..ticks.max(1) {
        window.tick()?;
    }
    let newest = window.session().run.records.len() - 1;
    window.session().show(Cursor::At(newest));
    write(&window.image()?, path)
}

/// Writes an image of every frame to `folder`, `000000.png` and so on, `per_second` frames a second of the run, until
/// `ticks` ticks are done.
///
/// # Errors
/// As [`screenshot`].
pub fn film(session: Session, view: View, size: [u32; 2], ticks: usize, folder: &Path) -> Result<usize> {
    let mut window = Offscreen::new(session, view, size)?;
    let mut number = 0;
    for _ in 0..ticks {
        window.tick()?;
        let newest = window.session().run.records.len() - 1;
        // Every control step once, whatever the renderer takes for it.
        for step in 0..window.session().run.records[newest].steps.len() {
            window.session().show_step(newest, step);
            write(&window.image()?, &folder.join(format!("{number:06}.png")))?;
            number += 1;
        }
    }
    Ok(number)
}

fn write(image: &RgbImage, path: &Path) -> Result<()> {
    let png = encode_png(image).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    files::write_whole_with_folders(path, &png).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

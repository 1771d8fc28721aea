//! The arguments of `mindseye serve`, and what they run.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use mindseye_interface::config::require_range;
use mindseye_interface::{Environment, Seed};

use crate::body::{FrameOutput, RealTime, serve_environment};
use crate::program::{Program, token};
use crate::server::{Limits, PolicyService, Server};
use crate::{Error, Result};

/// Serve plans to robots of any language, in openpi's protocol: images in, actions in the robot's units out.
///
/// Every client has an agent of its own with its goal, its memory and its plan. The first message names the goal: an
/// image, values of the state, or "live" for what the cameras show. `pip install openpi-client` is a client, and so is
/// mindseye_serving::client; docs/guides/serve.md has the messages. With --scene it serves a simulated body instead, to
/// be driven by `mindseye act`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mindseye serve --checkpoint runs/robot\n  \
    mindseye serve --checkpoint runs/robot --host 0.0.0.0 --token-file token.txt --max-clients 4\n  \
    mindseye serve --scene push_t --port 8001\n  \
    mkfifo eye; mindseye serve --scene push_t --port 8001 --frames eye\n\n\
    A client in Python:\n  \
    policy = WebsocketClientPolicy(\"127.0.0.1\", 8000)\n  \
    policy.infer({\"observation/image\": now, \"goal\": goal})[\"actions\"]")]
pub struct ServeArguments {
    /// Folder of the checkpoint, or of a LeWorldModel.
    #[arg(long, required_unless_present = "scene", conflicts_with = "scene")]
    checkpoint: Option<PathBuf>,
    /// Task file (TOML): planner and costs. By default that of the checkpoint's scene, else the shipped `recorded`.
    #[arg(long)]
    task: Option<PathBuf>,
    /// Serve this scene of the simulator as a body, to one client at a time.
    #[arg(long)]
    scene: Option<String>,
    /// The scene runs on a clock, as a robot does: a control step takes its time, and the world goes on while nobody
    /// commands it.
    #[arg(long, requires = "scene")]
    real_time: bool,
    /// Write what the scene's camera sees to this named pipe (mkfifo), or to - for standard output: raw RGB, for a
    /// program that publishes it (docs/guides/act.md). The scene then runs in real time.
    #[arg(long, value_name = "PIPE", requires = "scene")]
    frames: Option<PathBuf>,
    /// Images per second of --frames.
    #[arg(long, default_value_t = 30.0)]
    frames_fps: f64,
    /// Address to listen at. Another than this machine's own needs --token-file.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen at; 0: a free one, which is printed.
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// File with a secret that clients have to send (api_key in openpi's client).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Time for a plan, milliseconds, from when a planner is free; by default the task's.
    #[arg(long)]
    deadline_ms: Option<f64>,
    /// Most clients at the same time; others are refused at once.
    #[arg(long, default_value_t = 16)]
    max_clients: usize,
    /// Plans made at the same time; by default one per core. Clients wait for one in turn (server_timing says how
    /// long).
    #[arg(long)]
    planners: Option<usize>,
    /// A client that says nothing for so many seconds is dropped.
    #[arg(long, default_value_t = 600.0)]
    idle_secs: f64,
    /// Root of every random choice. Equal requests to two sessions get equal plans, as far as the deadline lets them.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl ServeArguments {
    /// Serves until the program is asked to stop.
    ///
    /// # Errors
    /// When the checkpoint is broken, an argument makes no sense, or the address is taken.
    pub fn run(&self, program: &Program) -> Result<()> {
        require_range("--max-clients", self.max_clients, 1, 10_000)?;
        require_range("--idle-secs", self.idle_secs, 1.0, 1e6)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let planners = self.planners.unwrap_or(cores);
        require_range("--planners", planners, 1, 1024)?;
        let (address, token) = (SocketAddr::new(self.host, self.port), token(self.token_file.as_deref())?);
        let log = |line: &str| (program.note)(line);
        if let Some(scene) = &self.scene {
            let body = self.body(program, scene)?;
            return serve_environment(body, address, token, program.stop, &log);
        }
        let Some(folder) = &self.checkpoint else {
            return Err(Error::field("--checkpoint", "a folder", "none"));
        };
        let (checkpoint, task) = program.model(folder, self.task.as_deref(), self.deadline_ms)?;
        let service = PolicyService::new(&checkpoint, &task, Seed::new(self.seed), planners)?;
        let service = service.noting_novelty((program.resolve)(folder));
        let (max_clients, idle_secs) = (self.max_clients, self.idle_secs);
        let server = Server::bind(address, Limits { max_clients, idle_secs, ..Limits::default() }, token)?;
        let (at, name, budget) = (server.address()?, &task.name, task.budget_ms);
        log(&format!(
            "plans of the task {name} at ws://{at} within {budget} ms, {planners} at a time, for {max_clients} clients"
        ));
        server.run(&service, program.stop, &log);
        Ok(())
    }
    /// The scene as a body, on a clock where that is asked for.
    fn body(&self, program: &Program, scene: &str) -> Result<Box<dyn Environment>> {
        require_range("--frames-fps", self.frames_fps, 0.1, 1000.0)?;
        let output = self.frames.as_deref().map(FrameOutput::new).transpose()?;
        let body = (program.scene)(scene).map_err(Error::Supplied)?;
        if !self.real_time && output.is_none() {
            return Ok(body);
        }
        let body = RealTime::new(body)?;
        if let Some(output) = output {
            if let Some(size) = body.view().image().map(|image| image.size()) {
                let (width, height, fps) = (size.width(), size.height(), self.frames_fps);
                (program.note)(&format!("images of {width}x{height} rgb24, {fps} a second"));
            }
            output.publish(body.view(), self.frames_fps, program.note)?;
        }
        Ok(Box::new(body))
    }
}

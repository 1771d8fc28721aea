//! A server in this process, and a world for its clients.

#![allow(dead_code)] // every test file uses another part of this
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mindseye_agent::Task;
use mindseye_interface::{Observation, Seed, Simulator, config};
use mindseye_serving::message::{Array, Value};
use mindseye_serving::server::{Limits, PolicyService, Server, Service};
use mindseye_sim::{SceneOptions, make};
use mindseye_world_model::AnyCheckpoint;

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets")
}

/// The shipped model of push_t.
pub fn checkpoint() -> Arc<AnyCheckpoint> {
    Arc::new(AnyCheckpoint::load(&assets().join("checkpoints/push_t")).unwrap())
}

/// The shipped task of push_t, whose plans are never cut short.
pub fn task() -> Task {
    Task { budget_ms: 1e6, ..config::load(&assets().join("tasks/push_t.toml")).unwrap() }
}

/// push_t after a reset.
pub fn world(seed: u64) -> (Box<dyn Simulator>, Observation) {
    let mut world = make("push_t", &SceneOptions::with_side(64).unwrap()).unwrap();
    let observation = world.reset(Seed::new(seed)).unwrap();
    (world, observation)
}

/// The image of `observation` as a message has it.
pub fn image(observation: &Observation) -> Value {
    Array::of_image(observation.image().unwrap()).into()
}

/// What a client sends first: an image and a goal.
pub fn first_request(seed: u64) -> Value {
    Value::from([("observation/image", image(&world(seed).1)), ("goal", image(&world(seed + 100).1))])
}

/// A server on a thread of its own, until it is dropped.
pub struct Running {
    pub address: SocketAddr,
    pub log: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(service: impl Service + Send + 'static, limits: Limits, token: Option<&str>) -> Self {
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits, token.map(Into::into)).unwrap();
        let (address, stop, log) = (server.address().unwrap(), Arc::new(AtomicBool::new(false)), Arc::default());
        let (stopped, lines): (_, Arc<Mutex<Vec<String>>>) = (stop.clone(), Arc::clone(&log));
        let thread = std::thread::spawn(move || {
            server.run(&service, &stopped, &|line| lines.lock().unwrap().push(line.to_owned()));
        });
        Self { address, log, stop, thread: Some(thread) }
    }

    /// Plans of push_t.
    pub fn policy(limits: Limits, token: Option<&str>) -> Self {
        Self::start(PolicyService::new(&checkpoint(), &task(), Seed::new(0), 2).unwrap(), limits, token)
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Ends the server; waits for it.
    pub fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
    }

    /// Waits until a line of the log contains `part`.
    pub fn wait_for(&self, part: &str) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let found = self.log.lock().unwrap().iter().find(|line| line.contains(part)).cloned();
            match found {
                Some(line) => return line,
                None if Instant::now() > until => panic!("no line with {part}: {:?}", self.log.lock().unwrap()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

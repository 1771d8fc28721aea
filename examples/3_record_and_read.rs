//! Episodes: record some as a LeRobotDataset v3.0, read them back, cut windows for training.
//!
//! `cargo run --release --example 3_record_and_read` leaves the data set in a temporary folder and prints its path.

use anyhow::Result;
use mindseye_episodes::{
    CacheOptions, DatasetSpec, DatasetWriter, FrameCache, ImageStorage, Recording, Sidecar, Split, Windows, WriteMode,
    open,
};
use mindseye_evaluation::collection::{RecordingPlan, record};
use mindseye_examples::{IMAGE_SIDE, demonstrated_episode};
use mindseye_interface::{NoProgress, Seed};
use mindseye_sim::{SceneOptions, make};

fn main() -> Result<()> {
    let (folder, root) = (std::env::temp_dir().join("mindseye_example_3"), Seed::new(0));
    let options = SceneOptions::with_side(IMAGE_SIDE)?;
    let room = make("two_room", &options)?;
    let (policy, factors) = ("walker".into(), Vec::new());
    let spec = DatasetSpec {
        frames_per_second: 10,
        camera: "top".into(),
        more_cameras: Vec::new(),
        image_size: options.image_size,
        image_storage: ImageStorage::Png,
        proprioception_names: room.proprioception_names(),
        state_names: room.state_names(),
        action_names: room.action_space().names.clone(),
        task: "walk to random positions".into(),
        robot: Some("two_room".into()),
        episodes_per_file: 1,
        sidecar: Some(Sidecar {
            scene: "two_room".into(),
            action_space: room.action_space().clone(), // what the normalised actions mean
            control_step_secs: room.control_step_secs(),
            recordings: vec![Recording { first_episode: 0, seed: root, policy, factors, first_of_seed: None }],
        }),
    };
    let writer = DatasetWriter::create(&folder, spec, WriteMode::Overwrite)?;
    let plan = RecordingPlan { root, episodes: 0..5, batch: 5 };
    record(writer, &plan, &|seed| demonstrated_episode(seed, 50), &NoProgress)?;

    let source = open(&folder)?; // detects the format
    let episode = source.read_episode(2)?;
    println!("{}: {}, {} episodes, {} frames", folder.display(), source.format(), source.len(), source.frames());
    println!("episode 2 begins at {:.3?} with action {:.2?}", episode.states[0], episode.actions[0]);

    // Training uses windows: 4 frames that are one action chunk of 5 control steps apart, and the chunks between them.
    let cache = FrameCache::load(source.as_ref(), &CacheOptions::default(), &|_, _| ())?;
    let split = Split::new(cache.episodes().len(), 0.2, root);
    let windows = Windows::new(&cache, &split.training, 4, 5);
    let batch = windows.gather(&cache, &windows.epoch_order(root, 0)[..8])?;
    println!("{} windows of {} training episodes; a batch of {}", windows.len(), split.training.len(), batch.windows);
    println!("true states at the frames of its first window: {:.3?}", &batch.states[..batch.frames * 2]);
    Ok(())
}

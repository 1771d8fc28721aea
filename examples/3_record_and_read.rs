//! Episodes: record a few as a LeRobotDataset v3.0, read them back, cut windows for training.
//!
//! `cargo run --release --example 3_record_and_read` leaves the data set in a temporary folder and says where.

use anyhow::Result;
use mindseye::commands::record::{episode_seed, simulate_episode};
use mindseye_episodes::{
    CacheOptions, Dataset, DatasetSpec, DatasetWriter, EpisodeSource, FrameCache, PictureStorage, Split, Windows,
    WriteMode,
};
use mindseye_interface::Seed;
use mindseye_sim::{SceneOptions, demonstrator, make};

fn main() -> Result<()> {
    let folder = std::env::temp_dir().join("mindseye_story_3");
    let options = SceneOptions::with_side(64)?;
    let mut room = make("two_room", &options)?;
    let mut walker = demonstrator("two_room", "walker", &options)?;

    let spec = DatasetSpec {
        frames_per_second: 10,
        camera: "top".into(),
        image_size: options.image_size,
        pictures: PictureStorage::Png,
        proprioception_names: room.proprioception_names(),
        state_names: room.state_names(),
        action_names: room.action_space().names.clone(),
        task: "walk about".into(),
        robot: Some("two_room".into()),
        episodes_per_file: 1,
        sidecar: None, // what only mindseye would understand
    };
    let mut writer = DatasetWriter::create(&folder, spec, WriteMode::Overwrite)?;
    for index in 0..5 {
        let seed = episode_seed(Seed::new(0), index);
        writer.add_episode(&simulate_episode(room.as_mut(), walker.as_mut(), seed, 50)?)?;
    }
    writer.finish()?;

    let dataset = Dataset::open(&folder)?;
    let episode = dataset.read_episode(2)?;
    println!("{}: {} episodes, {} frames", folder.display(), dataset.len(), dataset.frames());
    println!("episode 2 begins at {:.3?} with action {:.2?}", episode.states[0], episode.actions[0]);

    // Training sees windows: 4 frames that are 5 control steps apart, and the action blocks between them.
    let cache = FrameCache::load(&dataset, &CacheOptions::default(), &|_, _| ())?;
    let split = Split::new(cache.episodes().len(), 0.2, Seed::new(0));
    let windows = Windows::new(&cache, &split.training, 4, 5);
    let batch = windows.gather(&cache, &windows.epoch_order(Seed::new(0), 0)[..8]);
    println!("{} windows; a batch of {}: {} picture bytes", windows.len(), batch.windows, batch.pictures.len());
    println!("first action block: {:.2?}", &batch.blocks[..10]);
    Ok(())
}

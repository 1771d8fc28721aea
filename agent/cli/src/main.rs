use std::path::Path; use std::sync::atomic::AtomicBool;
use mindseye_interface::*; use mindseye_world_model::training::*; use mindseye_world_model::*; use mindseye_episodes::*;
#[global_allocator] static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let config: TrainingConfig = mindseye_interface::config::load(Path::new(&a[1])).unwrap();
    let out = Path::new(&a[2]); let episodes: u64 = a[3].parse().unwrap(); let seed: u64 = a[4].parse().unwrap();
    let options = mindseye_sim::SceneOptions::with_side(64).unwrap();
    let mut sim = mindseye_sim::make("two_room", &options).unwrap();
    let mut dem = mindseye_sim::demonstrator("two_room", "mixture", &options).unwrap();
    let mut cache = FrameCache::new(options.image_size, 2, 2, 2);
    let t = std::time::Instant::now();
    for e in 0..episodes {
        let m = mindseye_sim::demonstrate(sim.as_mut(), dem.as_mut(), Seed::new(seed).child("episodes").index(e), 100, false).unwrap();
        let data = EpisodeData { frames: m.iter().map(|m| m.observation.clone().unwrap().image.unwrap()).collect(),
            proprioception: m.iter().map(|m| m.observation.clone().unwrap().proprioception).collect(),
            states: m.iter().map(|m| m.state.iter().map(|&v| v as f32).collect()).collect(),
            actions: m.iter().map(|m| m.action.values().to_vec()).collect() };
        cache.push(&data).unwrap();
    }
    eprintln!("recorded {} frames in {:?}", cache.len(), t.elapsed());
    std::fs::create_dir_all(out).unwrap(); ::image::save_buffer(out.join("f.png"), cache.picture(30), 64, 64, ::image::ExtendedColorType::Rgb8).unwrap();
    let data = TrainingData::new(cache, &config).unwrap();
    let stop = AtomicBool::new(false); let t = std::time::Instant::now();
    let progress = |p: &Progress<'_>| { if p.step % 200 == 0 || p.validation.is_some() { eprintln!("{} {:.0}s {:?}", p.step, t.elapsed().as_secs_f64(), p.terms); if let Some(v) = p.validation { eprintln!("   {:?}", v); } } };
    let run = RunOptions { seed: Seed::new(seed), threads: 2, folder: out, resume: false, stop: &stop, progress: &progress };
    let (model, report) = train(&config, &data, &run).unwrap();
    let statistics = LatentStatistics::measure(&model, &data, Seed::new(0)).unwrap();
    let ck = Checkpoint { config: checkpoint::CheckpointConfig { format: 1, scene: "two_room".into(), control_step_secs: 0.1, action_space: sim.action_space().clone(), state_names: sim.state_names(), model: config.model.clone(), data: data.statistics(), recipe: config.clone(), training: report }, model, statistics, decoder: None };
    ck.save(out).unwrap();
}

//! An agent with two cameras of another size than the shipped scenes': each shows what the other cannot.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::{Arc, OnceLock};

use mindseye_agent::session::{CameraImage, PlanningSession};
use mindseye_agent::{Agent, ModelSource, Task};
use mindseye_episodes::{EpisodeData, FrameCache};
use mindseye_interface::config::{self, parse};
use mindseye_interface::{ActionSpace, Frame, Goal, Image, ImageSize, ManualClock, Observation, Seed};
use mindseye_world_model::Checkpoint;
use mindseye_world_model::checkpoint::Origin;
use mindseye_world_model::training::{RunOptions, TrainedModel, TrainingConfig, TrainingData, train};
use rand::Rng;

const SIDE: usize = 16;
/// Control steps per action chunk.
const CHUNK: usize = 2;
const RECIPE: &str = "
    steps = 400\nmicro_batches = 2\nreport_every = 100\nvalidate_every = 400\nsave_every = 1000\ndecoder_steps = 0
    [model]\nimage_side = 16\ncameras = 2\naction_width = 2\naction_chunk = 2\nlatent_width = 8\nwhitening = true
    [model.encoder]\nkind = \"keypoint\"\nchannels = 4\nhidden = 32
    [model.predictor]\nhidden = 32\nlayers = 1
    [data]\nbatch = 16\nframes = 4\nvalidation_fraction = 0.2
    [loss]\n[optimiser]\nlearning_rate = 3e-3\n";

/// A bright bar that is `place` pixels from the left (or, for the other camera, from the top).
fn view(place: f32, upright: bool) -> Image {
    let covered = |pixel: usize| (((pixel + 1) as f32).min(place + 4.0) - (pixel as f32).max(place)).clamp(0.0, 1.0);
    let shade = |row: usize, column: usize| (255.0 * covered(if upright { column } else { row })) as u8;
    let pixels = (0..SIDE * SIDE).flat_map(|index| [shade(index / SIDE, index % SIDE); 3]).collect();
    Image::new(ImageSize::square(SIDE).unwrap(), pixels).unwrap()
}

fn observation(place: [f32; 2]) -> Observation {
    let frames = vec![
        Frame::new(&"front".into(), view(place[0], true), 0.0),
        Frame::new(&"side".into(), view(place[1], false), 0.0),
    ];
    Observation { frames, ..Observation::default() }
}

fn moved(place: [f32; 2], action: &[f32]) -> [f32; 2] {
    [(place[0] + action[0]).clamp(0.0, 12.0), (place[1] + action[1]).clamp(0.0, 12.0)]
}

/// A thing that moves by up to a pixel per control step, as both cameras show it.
fn episode(seed: Seed) -> EpisodeData {
    let mut rng = seed.rng();
    let mut place = [rng.random_range(0.0..12.0f32), rng.random_range(0.0..12.0f32)];
    let (mut episode, mut action) = (EpisodeData::default(), vec![0.0f32; 2]);
    for step in 0..30 {
        if step % 4 == 0 {
            action = vec![rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)];
        }
        let both = observation(place).frames.iter().flat_map(|frame| frame.image.pixels().to_vec()).collect();
        episode.frames.push(Image::new(ImageSize::new(2 * SIDE, SIDE).unwrap(), both).unwrap());
        episode.states.push(place.to_vec());
        episode.proprioception.push(Vec::new());
        episode.actions.push(action.clone());
        place = moved(place, &action);
    }
    episode
}

fn checkpoint() -> Arc<Checkpoint> {
    static TRAINED: OnceLock<Arc<Checkpoint>> = OnceLock::new();
    let train = || {
        let config: TrainingConfig = parse(RECIPE).unwrap();
        let mut cache = FrameCache::new(ImageSize::new(2 * SIDE, SIDE).unwrap(), 2, 2, 0);
        (0..40).for_each(|index| cache.push(&episode(Seed::new(index))).unwrap());
        let cache = cache.with_camera_names(vec!["front".into(), "side".into()]);
        let data = TrainingData::new(cache, &config).unwrap();
        let options = RunOptions { threads: 2, ..RunOptions::new(Seed::new(0)) };
        let TrainedModel { model, report, .. } = train(&config, &data, None, &options, &|_, _| ()).unwrap();
        let [names, units] = [["x", "y"], ["px/s", "px/s"]].map(|all| all.map(String::from).to_vec());
        let action_space = ActionSpace {
            names,
            units,
            low: vec![-1.0; 2],
            high: vec![1.0; 2],
            neutral: Vec::new(),
            max_step: Vec::new(),
        };
        let state_names = vec!["x_px".into(), "y_px".into()];
        let origin = Origin { scene: "bars".into(), control_step_secs: 0.1, action_space, state_names };
        Arc::new(Checkpoint::of_run(model, report, config, &data, origin).unwrap())
    };
    TRAINED.get_or_init(train).clone()
}

fn agent() -> Agent {
    let task: Task = parse(
        "name = \"bars\"\nhorizon_chunks = 4\nbudget_ms = 1e6\n[weights]\ngoal_distance = 1.0\n\
         [planner]\nkind = \"icem\"\nsamples = 64\niterations = 3\nelites = 8\n",
    )
    .unwrap();
    Agent::from_checkpoint(checkpoint(), &task, Seed::new(0)).unwrap()
}

#[test]
fn a_goal_of_two_cameras_is_reached_in_both() {
    let (mut agent, clock) = (agent(), ManualClock::default());
    let (mut place, goal) = ([2.0, 10.0], [9.0, 3.0]);
    let mut goal_image = observation(goal);
    goal_image.frames.reverse(); // cameras are found by their names
    agent.set_goal(Goal::image(&goal_image)).unwrap();
    for _ in 0..16 {
        let report = agent.tick(&observation(place), &clock);
        assert_eq!(report.error, None);
        place = report.action_chunk.chunks_exact(2).take(CHUNK).fold(place, moved);
    }
    let off = [(place[0] - goal[0]).abs(), (place[1] - goal[1]).abs()];
    assert!(off.iter().all(|pixels| *pixels < 3.0), "7 pixels off in both at first: {place:?} instead of {goal:?}");
}

#[test]
fn a_camera_that_is_missing_or_shows_another_size_is_an_error_by_name_and_the_body_holds_still() {
    let (mut agent, clock) = (agent(), ManualClock::default());
    let whole = observation([5.0, 5.0]);
    let mut one = whole.clone();
    one.frames.pop();
    let error = agent.set_goal(Goal::image(&one)).unwrap_err().to_string();
    assert!(error.contains("camera") || error.contains("frame"), "{error}");
    agent.set_goal(Goal::image(&whole)).unwrap();
    let mut large = whole.clone();
    large.frames[1] = Frame::new(&"side".into(), Image::filled(ImageSize::square(64).unwrap(), [9; 3]), 0.0);
    for broken in [one, large] {
        let report = agent.tick(&broken, &clock);
        let error = report.error.unwrap();
        assert!(error.contains("frame") || error.contains("camera"), "{error}");
        assert_eq!(report.action_chunk, [0.0; 2 * CHUNK]);
    }
    assert_eq!(agent.tick(&whole, &clock).error, None, "and goes on with the next observation");
}

#[test]
fn a_session_takes_images_by_camera_scales_them_and_needs_no_task() {
    let source = ModelSource::from(checkpoint());
    let task = config::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/tasks/recorded.toml").as_ref()).unwrap();
    let mut session = PlanningSession::new(&source, &task, Seed::new(0), None).unwrap();
    let images = |place: [f32; 2]| -> Vec<CameraImage> {
        let frames = observation(place).frames.into_iter();
        frames
            .map(|frame| CameraImage { camera: Some(frame.camera.to_string()), image: (*frame.image).clone() })
            .collect()
    };
    let mut goal = images([9.0, 3.0]);
    goal.reverse(); // by name, in any order
    session.set_goal(goal, &[]).unwrap();
    let clock = ManualClock::default();
    let error = session.plan(images([2.0, 10.0])[..1].to_vec(), &[], &clock).unwrap_err().to_string();
    assert!(error.contains("2 cameras (front, side)") && error.contains("got 1"), "{error}");
    let mut unknown = images([2.0, 10.0]);
    unknown[1].camera = Some("wrist".into());
    let error = session.plan(unknown, &[], &clock).unwrap_err().to_string();
    assert!(error.contains("front, side") && error.contains("wrist"), "{error}");
    let mut large = images([2.0, 10.0]);
    let own = large[1].image.clone();
    let doubled = (0..4 * SIDE * SIDE).flat_map(|index| own.rgb(index / (2 * SIDE) / 2, index % (2 * SIDE) / 2));
    large[1].image = Image::new(ImageSize::square(2 * SIDE).unwrap(), doubled.collect()).unwrap();
    let (plan, notes) = session.plan(large, &[], &clock).unwrap();
    assert_eq!(notes, ["image of side: scaled from 32x32 to 16x16 pixels, as in training"]);
    let mut whole = PlanningSession::new(&source, &task, Seed::new(0), None).unwrap();
    whole.set_goal(images([9.0, 3.0]), &[]).unwrap();
    let expected = whole.plan(images([2.0, 10.0]), &[], &clock).unwrap().0;
    assert_eq!(plan.actions.actions, expected.actions.actions, "the same image, twice as large, gives the same plan");
    assert_eq!((&plan.actions.names[..], plan.actions.step_secs), (&["x".to_owned(), "y".to_owned()][..], Some(0.1)));
    let total: f64 = plan.actions.actions.iter().take(CHUNK).map(|action| action[0] - action[1]).sum();
    assert!(total > 0.0, "right and up: {:?}", plan.actions.actions);
}

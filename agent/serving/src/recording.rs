//! The arguments of `mindseye record --camera`, with arms that cameras see.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use mindseye_arms::{Arm, ArmUri, Leader, follow};
use mindseye_cameras::{ActionFeed, CameraRecordingArguments, DrivenAction, LiveRecordingReport, Sources};
use mindseye_episodes::WriteMode;
use mindseye_interface::Environment;

use crate::{Error, Result};

/// Which live cameras are recorded, and what a person does with an arm meanwhile.
#[derive(Debug, Clone, Default, Args)]
pub struct LiveRecordingArguments {
    #[command(flatten)]
    cameras: CameraRecordingArguments,
    /// An arm that follows --leader (arm:PORT?calibration=FILE, docs/guides/arm.md): what it is told are the actions,
    /// where it is are the measurements. It makes --fps control steps per second.
    #[arg(long, value_name = "URI", requires_all = ["cameras", "leader"], conflicts_with = "actions")]
    #[arg(help_heading = "Live cameras")]
    body: Option<String>,
    /// An arm that a person moves by hand, and --body follows.
    #[arg(long, value_name = "URI", requires = "body", help_heading = "Live cameras")]
    leader: Option<String>,
}

impl LiveRecordingArguments {
    /// Whether live cameras are to be recorded.
    pub fn is_asked_for(&self) -> bool {
        self.cameras.is_asked_for()
    }

    /// Records `episodes` into `out`.
    ///
    /// # Errors
    /// As [`CameraRecordingArguments::run`]; what is wrong with an arm, after what was recorded until then is kept.
    pub fn run(
        &self,
        sources: &Sources,
        data: (&Path, WriteMode, bool),
        episodes: usize,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(&str),
    ) -> Result<LiveRecordingReport> {
        let (Some(body), Some(leader)) = (&self.body, &self.leader) else {
            return Ok(self.cameras.run(sources, data, episodes, stop, tell)?);
        };
        let (body, leader): (ArmUri, ArmUri) = (body.parse()?, leader.parse()?);
        let mut follower = Arm::open(&body)?;
        follower.set_hz(self.cameras.fps().into())?;
        let mut leader = Leader::open(&leader, &follower)?;
        let names = follower.action_space().names.clone();
        let (feed, clock) = (ActionFeed::filled(names.clone(), names), sources.clock().clone());
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (driven, ended) = (feed.clone(), &ended);
            let following = scope.spawn(move || {
                let followed = follow(&mut follower, &mut leader, ended, &mut |step| {
                    let (values, proprioception) = (step.sent, step.observed);
                    driven.give(DrivenAction { values, proprioception, received_secs: clock.now_secs() });
                });
                driven.end();
                followed
            });
            let recorded = self.cameras.run_driven(sources, data, episodes, Some(&feed), stop, tell);
            ended.store(true, Ordering::Relaxed);
            match following.join() {
                Ok(followed) => followed?,
                Err(_) => return Err(Error::field("--body", "a driver that goes on", "a panic")),
            }
            Ok(recorded?)
        })
    }
}

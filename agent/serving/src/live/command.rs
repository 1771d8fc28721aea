//! `mindseye live`.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use mindseye_runs::RunArguments;

use super::session::Session;
use super::site::Live;
use crate::program::token;
use crate::website::Website;
use crate::{Error, Program, Result};

/// Time between two looks at whether to end.
const POLL: Duration = Duration::from_millis(100);

/// Watch an agent imagine and act in a browser, and reach in: no display is needed where it runs.
///
/// The page shows camera and goal, the plans that the agent considers, the best of them as the decoder draws it, what
/// it costs, how surprised it was, and a map of its latent space. Drag the goal or the bodies; change weights, horizon,
/// planner and mode; cover its camera, let a wind blow; pause, look at any tick as it was seen, and go on from there.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  \
    mindseye live push_t                      then open http://127.0.0.1:8090\n  \
    mindseye live two_room --pair 3 --paused\n  \
    mindseye live --data data/push_t --pair 7  an episode that was recorded\n  \
    mindseye live bridge --page 0.0.0.0:8090 --token-file token.txt\n\n\
    Over ssh: ssh -L 8090:127.0.0.1:8090 HOST")]
pub struct LiveArguments {
    #[command(flatten)]
    run: RunArguments,
    /// Where the page is served, HOST:PORT; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8090")]
    page: String,
    /// A file with 8 to 200 letters and digits that a browser must give (`?token=...`); needed for other hosts than
    /// this one.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Where the page's button saves the run; by default a file in this folder, named after scene and pair.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

impl LiveArguments {
    /// Serves the run until `program.stop`.
    ///
    /// # Errors
    /// When scene, model, task and pair do not fit together, or the page cannot be served there.
    pub fn run(&self, program: &Program) -> Result<()> {
        let token = token(self.token_file.as_deref())?;
        let run = self.run.run(program).map_err(|error| Error::Supplied(error.into()))?;
        let setup = run.setup();
        let view = (program.top_view)(setup.benchmark.name(), setup.pair.episode).map_err(Error::Supplied)?;
        let session = Session::start(run, view, self.run.is_paused(), self.save.clone())?;
        let title = session.run.title().to_owned();
        let website = Website::start(&self.page, token.as_deref(), Live::new(session))?;
        (program.say)(&website.url());
        (program.note)(&format!("{title}; Ctrl-C ends"));
        while !program.stop.load(Ordering::Relaxed) {
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

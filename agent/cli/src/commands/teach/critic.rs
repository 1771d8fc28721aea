//! `mindseye teach critic`: from recorded episodes to a critic that knows what is still to come beyond the horizon.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use mindseye_agent::actor::{Deadline, GradientConfig, Imagination};
use mindseye_agent::configurator::{Configurator, PlannerConfig, SequenceConfigurator};
use mindseye_agent::cost::{CRITIC, CostModule, GoalDistance, LearnedCritic, Reduction, SteadyCritic};
use mindseye_agent::memory::RingMemory;
use mindseye_agent::world_model::{LearnedWorldModel, WorldModel};
use mindseye_agent::{Directive, Latent, Plan, Plans, Rollouts, Task};
use mindseye_interface::config::require_range;
use mindseye_interface::{Rng, Seed, SystemClock};
use mindseye_world_model::critic::{CriticConfig, CriticLesson, CriticTraining, Lessons, train_critic};
use mindseye_world_model::{Checkpoint, CriticNetwork};
use rand::Rng as _;
use rayon::prelude::*;
use serde::Serialize;

use super::{Lesson, Recorded};
use crate::commands::{load_task, print_json};
use crate::progress::{Meter, stop_on_ctrl_c};
use crate::running::cost;

/// Teach a critic: what will it cost from here to the goal, beyond what is imagined?
///
/// It learns from recorded episodes, whoever acted in them, with goals given in hindsight: states that came later in the same episode, and states of
/// others. Some of its lessons are single blocks as they were lived; the others begin at recorded states, or near where plans lead from there, and go on as a
/// planner would: so it comes to foresee what planning costs, not what was done. With `--beyond critic` that planner asks the critic, as it is by then, for what lies
/// behind its own horizon; with `--beyond steady` it takes it that nothing changes there, and the critic learns what looking so many blocks farther would say. The
/// checkpoint is written to --out with the critic beside it. A task whose weights have `critic` (and whose reduction is `discounted`) then judges plans by what
/// they cost until the horizon and by what the critic expects after it: a short horizon sees far.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mindseye teach critic --scene two_room --checkpoint assets/checkpoints/two_room --data data/two_room --out runs/with_critic"
)]
pub struct CriticArguments {
    #[command(flatten)]
    lesson: Lesson,
    /// Task file (TOML): the costs to foresee; by default the shipped one of the scene.
    #[arg(long)]
    task: Option<PathBuf>,
    /// What an energy counts for each block that it lies farther ahead.
    #[arg(long, default_value_t = 0.9)]
    discount: f32,
    /// How much harder cheaper ways pull than dearer ones: 0.5 expects what was done on average, towards 1 the best of it.
    #[arg(long, default_value_t = 0.7)]
    expectile: f32,
    /// Share of the lessons that are imagined.
    #[arg(long, default_value_t = 0.5)]
    imagined: f64,
    /// Blocks that an imagined lesson goes on for.
    #[arg(long, default_value_t = 2)]
    blocks: usize,
    /// Who says what lies behind them.
    #[arg(long, value_enum, default_value_t = Beyond::Critic)]
    beyond: Beyond,
    /// Imagined lessons in all, with `--beyond steady`: they are thought out once, by the task's own planner.
    #[arg(long, default_value_t = 50_000)]
    lessons: usize,
    /// Networks that learn the same; the one that expects most counts.
    #[arg(long, default_value_t = 2)]
    members: usize,
    /// Optimiser steps, of 256 lessons each.
    #[arg(long, default_value_t = 10_000)]
    steps: usize,
}

/// Who says what lies behind the end of an imagined lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Beyond {
    /// The critic that is being taught.
    Critic,
    /// Nobody: all goes on costing what the last state costs.
    Steady,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct CriticReport {
    path: PathBuf,
    steps: usize,
    /// Mean loss over the last tenth of the steps.
    loss: f64,
    /// Episodes that were kept back, and situations out of them on which the rest was measured.
    held_out_episodes: usize,
    situations: usize,
    /// Share of the variance of what came (the discounted sum until the goal was reached) that the critic foresaw, 1 at most. To say the mean is 0.
    r2: f64,
    /// The same of saying that it will go on costing what it costs now.
    r2_as_now: f64,
    /// With lessons that were thought out once: share of the variance of what the planner finds from states of episodes that were kept back that the critic
    /// foresaw, and its error there, root mean square.
    r2_of_plans: Option<f64>,
    error_of_plans: Option<f64>,
}

/// Lessons per step.
const BATCH: usize = 256;
/// Width and depth of the networks.
const HIDDEN: usize = 256;
const LAYERS: usize = 2;
/// Share of the way on which the copies follow at each step.
const FOLLOW: f32 = 0.02;
/// One episode in so many is kept back.
const HELD_OUT: usize = 10;
/// Situations that are measured.
const SITUATIONS: usize = 2000;
/// Random steps from which the scales of the terms are taken.
const SCALED: usize = 2000;
/// Share of the lessons whose goal is what the block led to, and of those whose goal is of any episode.
const AT_GOAL: f64 = 0.1;
const ANYWHERE: f64 = 0.3;
/// Actions beside a plan's are at most so far from it.
const OFF_PLAN: f32 = 0.6;
/// A goal that came later is farther with this probability, block by block.
const LATER: f64 = 0.9;

/// Runs the command.
///
/// # Errors
/// When an argument makes no sense, data and checkpoint do not fit together, or a file cannot be written.
pub fn run(arguments: &CriticArguments) -> Result<()> {
    require_range("--discount", arguments.discount, 0.0, 0.999)?;
    require_range("--expectile", arguments.expectile, 0.01, 0.99)?;
    require_range("--imagined", arguments.imagined, 0.0, 1.0)?;
    require_range("--blocks", arguments.blocks, 1, 64)?;
    require_range("--lessons", arguments.lessons, 1, 10_000_000)?;
    require_range("--members", arguments.members, 1, 64)?;
    require_range("--steps", arguments.steps, 1, 100_000_000)?;
    let lesson = &arguments.lesson;
    let mut checkpoint = lesson.checkpoint()?;
    let task = load_task(arguments.task.as_deref(), &lesson.scene)?;
    let stop = stop_on_ctrl_c()?;
    let pool = lesson.pool()?;
    let recorded = pool.install(|| Recorded::open(&checkpoint, &lesson.data))?;
    let seed = Seed::new(lesson.seed).child("critic");
    let mut school = School::new(&checkpoint, &task, recorded, arguments)?;
    let (terms, weights): (Vec<String>, Vec<f32>) = school.weights().into_iter().unzip();
    let config = CriticConfig {
        latent_width: checkpoint.config.model.latent_width,
        hidden: HIDDEN,
        layers: LAYERS,
        members: arguments.members,
        discount: arguments.discount,
        scales: pool.install(|| school.scales(seed.child("scales")))?,
        terms,
        metric: task.metric,
        goal_saturation: task.goal_saturation,
    };
    let training = CriticTraining {
        steps: arguments.steps,
        batch: BATCH,
        expectile: arguments.expectile,
        weights: weights.clone(),
        follow: FOLLOW,
    };
    let kept_back = match arguments.beyond {
        Beyond::Critic => Vec::new(),
        Beyond::Steady => {
            let meter = Meter::new("lessons", arguments.lessons, "lessons");
            let seed = seed.child("thought out");
            school.thought_out =
                pool.install(|| school.think_out(&school.learnt, arguments.lessons, seed.child("learnt"), &meter))?;
            let few = SITUATIONS.min(arguments.lessons);
            pool.install(|| school.think_out(&school.held_out, few, seed.child("kept back"), &meter))?
        }
    };
    let meter = Meter::new("critic", arguments.steps, "steps");
    let go_on = |step, loss: f64| {
        meter.set(step, || format!("loss {loss:.4}"));
        !stop.load(Ordering::Relaxed)
    };
    let draw = |critic: &CriticNetwork, count: usize, seed: Seed| school.draw(critic, count, seed);
    let Some((critic, loss)) = train_critic(config, &training, &draw, seed, lesson.threads, go_on)? else {
        bail!("stopped; nothing was written");
    };
    drop(meter);
    let (r2, r2_as_now) = pool.install(|| school.examine(&critic, &weights, seed.child("examine")))?;
    let of_plans = of_plans(&critic, &weights, &kept_back)?;
    checkpoint.critic = Some(critic);
    checkpoint.save(&lesson.out)?;
    let report = CriticReport {
        path: lesson.out.clone(),
        steps: arguments.steps,
        loss,
        held_out_episodes: school.held_out.len(),
        situations: SITUATIONS,
        r2,
        r2_as_now,
        r2_of_plans: of_plans.map(|(r2, _)| r2),
        error_of_plans: of_plans.map(|(_, error)| error),
    };
    if lesson.json {
        return print_json(&report);
    }
    println!("{}: a critic beside its model", lesson.out.display());
    println!("R2 of what it foresees in {} episodes that were kept back: {r2:.3}", report.held_out_episodes);
    println!("R2 of saying that all goes on costing what it costs now: {r2_as_now:.3}");
    if let Some((r2, error)) = of_plans {
        println!("R2 of what it foresees of plans that it has not seen: {r2:.3}, error {error:.4}");
    }
    Ok(())
}

/// How much of the variance of what `lessons` cost the critic foresees, and its error.
fn of_plans(critic: &CriticNetwork, weights: &[f32], lessons: &[CriticLesson]) -> Result<Option<(f64, f64)>> {
    if lessons.is_empty() {
        return Ok(None);
    }
    let engine = critic.engine()?;
    let pair = |lesson: &CriticLesson| -> Result<[f64; 2]> {
        let cost: f32 = lesson.energies.iter().zip(weights).map(|(energy, weight)| energy * weight).sum();
        Ok([cost, engine.energies(&lesson.state, &lesson.goal, weights)?[0]].map(f64::from))
    };
    let pairs: Vec<[f64; 2]> = lessons.par_iter().map(pair).collect::<Result<_>>()?;
    let mean = pairs.iter().map(|[cost, _]| cost).sum::<f64>() / pairs.len() as f64;
    let variance = pairs.iter().map(|[cost, _]| (cost - mean).powi(2)).sum::<f64>().max(f64::MIN_POSITIVE);
    let squares = pairs.iter().map(|[cost, foreseen]| (cost - foreseen).powi(2)).sum::<f64>();
    Ok(Some((1.0 - squares / variance, (squares / pairs.len() as f64).sqrt())))
}

/// Recorded states and what they cost.
struct School<'a> {
    task: &'a Task,
    recorded: Recorded,
    /// Episodes to learn from, and those kept back.
    learnt: Vec<usize>,
    held_out: Vec<usize>,
    world: LearnedWorldModel,
    cost: CostModule,
    distance: GoalDistance,
    block: (usize, usize),
    discount: f32,
    imagined: f64,
    blocks: usize,
    /// Lessons that were imagined before, where they do not depend on what the critic believes.
    thought_out: Vec<CriticLesson>,
}

/// A planner that imagines lessons.
struct Planner {
    cost: CostModule,
    config: PlannerConfig,
}

impl<'a> School<'a> {
    fn new(checkpoint: &Checkpoint, task: &'a Task, recorded: Recorded, arguments: &CriticArguments) -> Result<Self> {
        let model = &checkpoint.config.model;
        let (held_out, learnt): (Vec<usize>, Vec<usize>) =
            (0..recorded.episodes.len()).partition(|episode| episode % HELD_OUT == HELD_OUT - 1);
        if held_out.is_empty() {
            let got = recorded.episodes.len();
            bail!("--data: expected {HELD_OUT} episodes or more (one in {HELD_OUT} is kept back), got {got}");
        }
        let distance = GoalDistance::new(checkpoint.statistics.factor(task.metric))?;
        Ok(Self {
            task,
            recorded,
            learnt,
            held_out,
            world: LearnedWorldModel::new(&checkpoint.model, task.precision, 1)?,
            cost: cost(task, distance.clone()),
            distance,
            block: (model.action_block, model.action_width),
            discount: arguments.discount,
            imagined: arguments.imagined,
            blocks: arguments.blocks,
            thought_out: Vec::new(),
        })
    }

    /// The terms that are foreseen, and what they weigh.
    fn weights(&self) -> Vec<(String, f32)> {
        let weights = self.task.weights.iter().filter(|(name, _)| *name != CRITIC);
        weights.map(|(name, weight)| (name.clone(), *weight)).collect()
    }

    fn directive(&self, goal: &[f32]) -> mindseye_agent::Result<Directive> {
        let goals = vec![Latent::global(goal.to_vec())];
        let configurator = SequenceConfigurator::new(self.task, goals, self.block.0, self.block.1)?;
        let mut directive = configurator.configure(&RingMemory::new(1));
        directive.weights.retain(|(name, _)| name != CRITIC);
        Ok(directive)
    }

    /// What it costs to be in `state` after `block`, term by term.
    fn energies(&self, state: &Latent, block: &[f32], directive: &Directive) -> mindseye_agent::Result<Vec<f32>> {
        let named = self.cost.energies_of_step(state, block, directive)?;
        let of = |name: &String| named.iter().find(|(known, _)| known == name).map_or(0.0, |(_, energy)| *energy);
        Ok(self.task.weights.keys().filter(|name| *name != CRITIC).map(of).collect())
    }

    /// What the recorded block after `moment` cost on the way to the directive's goal, term by term.
    fn lived_energies(&self, moment: usize, directive: &Directive) -> mindseye_agent::Result<Vec<f32>> {
        let next = Latent::global(self.recorded.latent(moment + 1).to_vec());
        self.energies(&next, self.recorded.block(moment), directive)
    }

    /// A moment of an episode to learn from, with a goal: which moment that was.
    fn situation(&self, episodes: &[usize], rng: &mut Rng) -> (usize, usize) {
        let any = |rng: &mut Rng| self.recorded.episodes[episodes[rng.random_range(0..episodes.len())]].clone();
        let moments = any(rng);
        let moment = rng.random_range(moments.start..moments.end - 1);
        let kind: f64 = rng.random();
        if kind < AT_GOAL {
            return (moment, moment + 1);
        }
        if kind < AT_GOAL + ANYWHERE {
            let other = any(rng);
            return (moment, rng.random_range(other));
        }
        let mut goal = moment + 1;
        while goal + 1 < moments.end && rng.random_bool(LATER) {
            goal += 1;
        }
        (moment, goal)
    }

    /// A block as it was lived.
    fn lived(&self, (moment, goal): (usize, usize)) -> mindseye_agent::Result<CriticLesson> {
        let directive = self.directive(self.recorded.latent(goal))?;
        let energies = self.lived_energies(moment, &directive)?;
        Ok(CriticLesson {
            state: self.recorded.latent(moment).to_vec(),
            next: self.recorded.latent(moment + 1).to_vec(),
            goal: self.recorded.latent(goal).to_vec(),
            energies: energies.into_iter().map(|energy| (1.0 - self.discount) * energy).collect(),
            tail: if goal == moment + 1 { 0.0 } else { self.discount },
        })
    }

    /// The planner's plan from `start` and where it leads.
    fn plan(
        &self,
        start: &Latent,
        directive: &Directive,
        planner: &Planner,
        rng: &mut Rng,
    ) -> mindseye_agent::Result<(Plan, Rollouts)> {
        let imagination = Imagination::new(&self.world, &planner.cost, start, directive);
        let clock = SystemClock::start();
        let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
        let plan = planner.config.build().act(&imagination, rng, &deadline)?.plan;
        let rollouts = self.world.imagine(start, &Plans::from(&plan))?;
        Ok((plan, rollouts))
    }

    /// What a planner would do from the state `start`, as the model imagines it. The lesson ends where the plan does; `beyond` says what counts of what
    /// comes then.
    fn imagined(
        &self,
        start: &Latent,
        goal: &[f32],
        planner: &Planner,
        beyond: Beyond,
        rng: &mut Rng,
    ) -> mindseye_agent::Result<CriticLesson> {
        let directive = self.directive_of_plans(goal)?;
        let (plan, rollouts) = self.plan(start, &directive, planner, rng)?;
        let (mut energies, mut share) = (vec![0.0; self.weights().len()], 1.0);
        let add = |energies: &mut [f32], cost: &[f32], share: f32| {
            energies.iter_mut().zip(cost).for_each(|(sum, cost)| *sum += share * cost);
        };
        let mut last = Vec::new();
        for (block, actions) in plan.values().chunks_exact(directive.block_width()).enumerate() {
            last = self.energies(&rollouts.state(0, 0, block), actions, &directive)?;
            add(&mut energies, &last, share * (1.0 - self.discount));
            share *= self.discount;
        }
        if beyond == Beyond::Steady {
            add(&mut energies, &last, share);
            share = 0.0;
        }
        Ok(CriticLesson {
            state: start.values().to_vec(),
            next: rollouts.state(0, 0, self.blocks - 1).values().to_vec(),
            goal: goal.to_vec(),
            energies,
            tail: share,
        })
    }

    /// What lesson planners look at: the costs to foresee, discounted, and a critic's word on what comes after them.
    fn directive_of_plans(&self, goal: &[f32]) -> mindseye_agent::Result<Directive> {
        let mut directive = self.directive(goal)?;
        directive.horizon_blocks = self.blocks;
        directive.reduction = Reduction::Discounted { discount: self.discount };
        directive.weights.push((CRITIC.into(), 1.0));
        Ok(directive)
    }

    /// Lessons of the task's own planner, who takes it that nothing changes behind its horizon. Half of them begin near where its plans lead.
    fn think_out(&self, episodes: &[usize], count: usize, seed: Seed, meter: &Meter) -> Result<Vec<CriticLesson>> {
        let steady = SteadyCritic::new(cost(self.task, self.distance.clone()));
        let planner = Planner {
            cost: cost(self.task, self.distance.clone()).with_critic(Box::new(steady)),
            config: self.task.planner.clone(),
        };
        let done = AtomicUsize::new(0);
        let one = |index: usize| -> Result<CriticLesson> {
            let mut rng = seed.index(index as u64).rng();
            let (moment, goal) = self.situation(episodes, &mut rng);
            let goal = self.recorded.latent(goal);
            let mut start = Latent::global(self.recorded.latent(moment).to_vec());
            if index % 2 == 1 {
                start = self.led(&start, goal, &planner, &mut rng)?;
            }
            let lesson = self.imagined(&start, goal, &planner, Beyond::Steady, &mut rng)?;
            meter.set(done.fetch_add(1, Ordering::Relaxed) + 1, String::new);
            Ok(lesson)
        };
        (0..count).into_par_iter().map(one).collect()
    }

    /// A state that a plan leads to, or one that is a little off.
    fn led(&self, start: &Latent, goal: &[f32], planner: &Planner, rng: &mut Rng) -> Result<Latent> {
        let directive = self.directive_of_plans(goal)?;
        let (plan, _) = self.plan(start, &directive, planner, rng)?;
        let noise = rng.random_range(0.0..OFF_PLAN);
        let values = plan.values().iter().map(|action| (action + noise * rng.random_range(-1.0..1.0)).clamp(-1.0, 1.0));
        let plans = Plans::new(1, plan.horizon(), plan.block_width(), values.collect())?;
        let block = rng.random_range(0..plan.horizon());
        Ok(self.world.imagine(start, &plans)?.state(0, 0, block))
    }

    fn draw(&self, critic: &CriticNetwork, count: usize, seed: Seed) -> mindseye_world_model::Result<Lessons> {
        let cost = cost(self.task, self.distance.clone());
        let planner = Planner {
            cost: cost.with_critic(Box::new(LearnedCritic::new(critic.engine()?))),
            config: PlannerConfig::Gradient(GradientConfig { samples: 4, iterations: 4, ..GradientConfig::default() }),
        };
        let one = |index: usize| {
            let mut rng = seed.index(index as u64).rng();
            let (moment, goal) = self.situation(&self.learnt, &mut rng);
            let lesson = if !rng.random_bool(self.imagined) {
                self.lived((moment, goal))
            } else if self.thought_out.is_empty() {
                let start = Latent::global(self.recorded.latent(moment).to_vec());
                self.imagined(&start, self.recorded.latent(goal), &planner, Beyond::Critic, &mut rng)
            } else {
                Ok(self.thought_out[rng.random_range(0..self.thought_out.len())].clone())
            };
            lesson.map_err(|error| mindseye_world_model::Error::Teacher(error.to_string()))
        };
        let lessons: Vec<CriticLesson> =
            (0..count).into_par_iter().map(one).collect::<mindseye_world_model::Result<_>>()?;
        Ok(lessons.into_iter().collect())
    }

    /// Mean energy of every term.
    fn scales(&self, seed: Seed) -> Result<Vec<f32>> {
        let one = |index: usize| -> Result<Vec<f32>> {
            let (moment, goal) = self.situation(&self.learnt, &mut seed.index(index as u64).rng());
            Ok(self.lived_energies(moment, &self.directive(self.recorded.latent(goal))?)?)
        };
        let all: Vec<Vec<f32>> = (0..SCALED).into_par_iter().map(one).collect::<Result<_>>()?;
        let terms = all.first().map_or(0, Vec::len);
        let mean = |term: usize| all.iter().map(|energies| energies[term].abs()).sum::<f32>() / SCALED as f32;
        Ok((0..terms).map(|term| mean(term).max(f32::MIN_POSITIVE.sqrt())).collect())
    }

    /// How much of what came in episodes that were kept back the critic foresees, and how much is foreseen by saying that all goes on as it is.
    fn examine(&self, critic: &CriticNetwork, weights: &[f32], seed: Seed) -> Result<(f64, f64)> {
        let engine = critic.engine()?;
        let discount = engine.config().discount;
        let one = |index: usize| -> Result<[f64; 3]> {
            let mut rng = seed.index(index as u64).rng();
            let moments = self.recorded.episodes[self.held_out[rng.random_range(0..self.held_out.len())]].clone();
            let start = rng.random_range(moments.start..moments.end - 1);
            let goal = rng.random_range(start + 1..moments.end);
            let directive = self.directive(self.recorded.latent(goal))?;
            let weighted = |energies: Vec<f32>| energies.iter().zip(weights).map(|(e, w)| e * w).sum::<f32>();
            let mut came = 0.0;
            for moment in (start..goal).rev() {
                came = (1.0 - discount) * weighted(self.lived_energies(moment, &directive)?) + discount * came;
            }
            let state = self.recorded.latent(start);
            let foreseen = engine.energies(state, directive.goal.values(), weights)?[0];
            let now = self.cost.energies_of(&Latent::global(state.to_vec()), &directive)?;
            let now: f32 = now.iter().map(|(name, energy)| energy * directive.weight(name).unwrap_or(0.0)).sum();
            Ok([came, foreseen, now].map(f64::from))
        };
        let all: Vec<[f64; 3]> = (0..SITUATIONS).into_par_iter().map(one).collect::<Result<_>>()?;
        let mean = all.iter().map(|[came, ..]| came).sum::<f64>() / all.len() as f64;
        let squares = |of: &dyn Fn(&[f64; 3]) -> f64| all.iter().map(|row| of(row).powi(2)).sum::<f64>();
        let variance = squares(&|[came, ..]| came - mean).max(f64::MIN_POSITIVE);
        let r2 = |which: usize| 1.0 - squares(&|row: &[f64; 3]| row[0] - row[which]) / variance;
        Ok((r2(1), r2(2)))
    }
}

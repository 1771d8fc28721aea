//! A run of pretraining.

use mindseye_interface::config::Validate;
use serde_json::json;

use super::clips::ClipData;
use super::config::PretrainingConfig;
use super::diagnostics::{PretrainingValidation, validate};
use super::folder::{PretrainingRecord, STATE_FILE};
use super::network::Networks;
use super::objective::MaskedPrediction;
use super::report::PretrainingReport;
use crate::Result;
use crate::parameters::{values_in, values_of};
use crate::trainer::{Run, RunOptions, Trainer};

/// File of the records in the folder of a run.
const METRICS_FILE: &str = "metrics.jsonl";

/// Trains to the end of the schedule, or until stopped. Of a finished run with a folder the encoder is written there.
/// `on_validation` gets the step and the validation made there.
///
/// # Errors
/// When the config makes no sense or needs more memory than `options.memory` (nothing is written then), a file cannot
/// be written, or a loss is not finite.
pub fn pretrain(
    config: &PretrainingConfig,
    data: &ClipData,
    options: &RunOptions<'_>,
    on_validation: &dyn Fn(usize, &PretrainingValidation),
) -> Result<PretrainingReport> {
    config.validate()?;
    let weights = values_in(&Networks::shapes(config)?);
    options.memory.require("pretraining", config.needed_bytes(weights))?;
    let mut objective = MaskedPrediction::new(config, data, options.seed)?;
    let run = Run {
        name: "pretrain",
        steps: config.steps,
        report_every: config.report_every,
        save_every: config.save_every,
        identity: json!({ "config": config, "data": data.fingerprint()? }),
    };
    let weights = objective.networks.weights.clone();
    let mut trainer = Trainer::with_files(*options, run, &weights, STATE_FILE, Some(METRICS_FILE))?;
    let seed = options.seed.child("validation");
    let measure = |trainer: &mut Trainer<'_>, objective: &MaskedPrediction<'_>| -> Result<PretrainingValidation> {
        let step = trainer.done();
        let measured = trainer.pool().install(|| validate(objective, data, step, seed))?;
        trainer.record(&measured.record(step))?;
        on_validation(step, &measured);
        Ok(measured)
    };
    let before = if options.resume { None } else { Some(measure(&mut trainer, &objective)?) };
    trainer.begin_stage(config.optimiser.clone(), config.steps);
    let validations = (config.validate_every, config.steps);
    let (finished, validation) = trainer.run_validated(&mut objective, validations, measure)?;
    let encoder = weights.iter().filter(|(name, _)| name.starts_with("encoder."));
    let encoder = encoder.map(|(name, var)| (name.clone(), var.clone())).collect();
    let report = PretrainingReport {
        steps: trainer.done(),
        finished,
        seed: options.seed.value(),
        minutes: trainer.elapsed_secs() / 60.0,
        clips: trainer.done() * config.data.batch,
        parameters: values_of(&encoder)?.len(),
        before,
        validation,
    };
    trainer.finish(&weights)?;
    if let (true, Some(lock)) = (finished, options.folder) {
        lock.still_here()?;
        PretrainingRecord { config: config.clone(), report: report.clone() }
            .save(lock.folder(), &objective.networks)?;
    }
    Ok(report)
}

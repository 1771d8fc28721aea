//! Reports as text, without a line break at the end.

use std::fmt::{Display, Formatter, Result};

use mindseye_evaluation::interval::Percentiles;

use crate::{
    CachedSpeed, CameraSpeed, DataSpeed, DeadlineReport, EncodingSpeed, LewmPlanningSpeed, LewmSpeed, PlanningSpeed,
    Scaling, SimulationSpeed, TrainingSpeed, VitSpeed,
};

impl Display for SimulationSpeed {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        write!(text, "{}, one core: {:.0} control steps/s without camera", self.scene, self.physics_steps_per_sec)?;
        for CameraSpeed { image_side: side, control_steps_per_sec: rate } in &self.with_camera {
            write!(text, "\n  {rate:.0} control steps/s with a {side}x{side} camera")?;
        }
        Ok(())
    }
}

impl Display for TrainingSpeed {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let Self { scene, threads, steps_per_sec, frames_per_sec, .. } = self;
        write!(text, "{scene}, {threads} threads: {steps_per_sec:.1} joint steps/s ({frames_per_sec:.0} frames/s)")?;
        if let Some(rate) = self.finetuning_steps_per_sec {
            write!(text, "\n  {rate:.1} steps/s of the predictor alone")?;
        }
        Ok(())
    }
}

impl Display for PlanningSpeed {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let Percentiles { p50, p95, p99, max } = self.planning_ms;
        let Self { scene, threads, ticks, predicted_states_per_tick: states, plans_per_tick, horizon_chunks, .. } =
            self;
        write!(text, "{scene}, {threads} threads, {ticks} ticks of {states:.0} predicted states ")?;
        write!(text, "({plans_per_tick:.0} plans of {horizon_chunks} chunks):")?;
        write!(text, "\n  {p50:.2} ms median, {p95:.2} p95, {p99:.2} p99, {max:.2} max")?;
        write!(text, "\n  {:.0} predicted states/s", self.predicted_states_per_sec)?;
        if let Some(DeadlineReport { deadline_ms, met, met_within_3_ms, fallbacks }) = self.deadline {
            let (met, later) = (100.0 * met, 100.0 * met_within_3_ms);
            write!(text, "\n  deadline of {deadline_ms} ms: kept by {met:.2} %, 3 ms later by {later:.2} %; ")?;
            write!(text, "fallbacks: {fallbacks}, searched plans: {}", ticks - fallbacks.min(*ticks))?;
        }
        if let Some((start, end)) = self.resident_mib_at_start.zip(self.resident_mib_at_end) {
            write!(text, "\n  {start:.1} MiB of memory after the first episode, {end:.1} after the last")?;
        }
        Ok(())
    }
}

impl Display for Scaling {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        write!(text, "{}: milliseconds of rollout and cost, by number of threads", self.scene)?;
        for size in self.by_plans.iter().chain(&self.by_horizon) {
            let ms: Vec<String> = size.ms.iter().map(|ms| format!("{ms:>9.3}")).collect();
            let best = size.ms.iter().copied().fold(f64::INFINITY, f64::min);
            let speedup = size.ms.first().map_or(1.0, |alone| alone / best);
            let (plans, chunks, ms) = (size.plans, size.horizon_chunks, ms.join(" "));
            write!(text, "\n  {plans:>5} plans x {chunks:>2} chunks: {ms}  {speedup:.2} x")?;
        }
        Ok(())
    }
}

impl Display for EncodingSpeed {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let (Self { scene, batch, .. }, Percentiles { p50, p95, .. }) = (self, self.ms);
        write!(text, "{scene}, one thread: {batch} images are encoded in {p50:.2} ms median, {p95:.2} p95")
    }
}

impl Display for DataSpeed {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let Self { format, threads, image_size: [height, width], frames, decoded_frames_per_sec: rate, .. } = self;
        write!(text, "{format}, {frames} frames of {height}x{width}, {threads} threads: {rate:.0} decoded/s")?;
        for CachedSpeed { image_side: side, samples_per_sec: rate, mib_per_sec: mib } in &self.cached {
            write!(text, "\n  from the cache at {side}x{side}: {rate:.0} samples/s ({mib:.0} MiB/s)")?;
        }
        Ok(())
    }
}

impl Display for LewmPlanningSpeed {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let Self { samples, iterations, horizon, parameters, threads, wall_secs, cpu_secs, .. } = self;
        write!(
            text,
            "LeWM ({parameters} parameters), {samples} samples x {iterations} iterations x {horizon} chunks, "
        )?;
        write!(text, "{threads} threads: {wall_secs:.2} s ({cpu_secs:.2} CPU seconds)")?;
        let Self { gflop, gflop_per_sec, gemm_peak_gflop_per_sec: peak, share_of_peak, .. } = self;
        write!(text, "\n  {gflop:.0} GFLOP at {gflop_per_sec:.0} GFLOP/s, {:.0} % of what ", 100.0 * share_of_peak)?;
        write!(text, "matrix products reach here ({peak:.0} GFLOP/s)")
    }
}

impl Display for LewmSpeed {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let Self { work, threads, batch, wall_secs, cpu_secs, .. } = self;
        write!(text, "LeWM, {work}, batch {batch}, {threads} threads: {wall_secs:.3} s ({cpu_secs:.3} CPU seconds)")
    }
}

impl Display for VitSpeed {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let Self { model, threads, tokens, wall_secs, cpu_secs, gflop, precision, .. } = self;
        write!(text, "{model} in {precision:?}, {tokens} tokens on {threads} threads: {wall_secs:.3} s ")?;
        write!(
            text,
            "({cpu_secs:.3} s of processor time), {gflop:.0} GFLOP at {:.0} per second, ",
            self.gflop_per_sec
        )?;
        write!(
            text,
            "{:.0} % of {:.0} that f32 products reach",
            100.0 * self.share_of_peak,
            self.gemm_peak_gflop_per_sec
        )
    }
}

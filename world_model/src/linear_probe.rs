//! Linear probes: how much of the true state a linear map reads from a latent.

use nalgebra::{DMatrix, DVector};

/// A linear map from latents `[D]` to the true state `[K]`. Angles (names that end in `_rad`) are read as sine and
/// cosine.
#[derive(Debug, Clone)]
pub struct Probe {
    width: usize,
    angles: Vec<bool>,
    /// `[D + 1, columns]`; the last row is the constant.
    map: DMatrix<f64>,
}

/// How well a probe reads states it was not fitted to; one number per dimension of the state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProbeErrors {
    /// Coefficient of determination, at most 1; of an angle, that of sine and cosine together.
    pub r2: Vec<f64>,
    /// Root mean square error, in the state's units.
    pub rmse: Vec<f64>,
    /// Median absolute error, in the state's units.
    pub median: Vec<f64>,
}

impl ProbeErrors {
    /// Errors of states `[N, K]` that were `read`, where `states` is the truth and `angles [K]` says which dimensions
    /// are angles.
    pub(crate) fn between(read: &[f32], states: &[f32], angles: &[bool]) -> Self {
        let rows = (states.len() / angles.len().max(1)).max(1) as f64;
        let mut errors = Self::default();
        for (index, &angle) in angles.iter().enumerate() {
            let of = |values: &[f32]| -> Vec<f64> {
                values.iter().skip(index).step_by(angles.len()).map(|&value| f64::from(value)).collect()
            };
            let (read, truth) = (of(read), of(states));
            // An angle is a point on the circle: residuals are distances between points.
            let parts: &[fn(f64) -> f64] = if angle { &[f64::sin, f64::cos] } else { &[std::convert::identity] };
            let (mut residual, mut total, mut square) = (0.0, 0.0, 0.0);
            for part in parts {
                let mean = truth.iter().map(|&value| part(value)).sum::<f64>() / rows;
                residual +=
                    read.iter().zip(&truth).map(|(&read, &truth)| (part(read) - part(truth)).powi(2)).sum::<f64>();
                total += truth.iter().map(|&truth| (part(truth) - mean).powi(2)).sum::<f64>();
                square += truth.iter().map(|&truth| part(truth).powi(2)).sum::<f64>();
            }
            errors.r2.push(determination(residual, total, square));
            let mut off: Vec<f64> = read.iter().zip(&truth).map(|(read, truth)| apart(read - truth, angle)).collect();
            errors.rmse.push((off.iter().map(|off| off * off).sum::<f64>() / rows).sqrt());
            off.sort_by(f64::total_cmp);
            errors.median.push(off.get(off.len() / 2).copied().unwrap_or(f64::NAN));
        }
        errors
    }
}

/// Coefficient of determination of values whose squares sum up to `square`, and those of their differences from the
/// mean to `total`. Where nothing varies there is nothing to explain: 0.
fn determination(residual: f64, total: f64, square: f64) -> f64 {
    const CONSTANT: f64 = 1e-9;
    if total <= CONSTANT * square { 0.0 } else { 1.0 - residual / total }
}

/// Absolute difference; that of angles is at most π.
fn apart(off: f64, angle: bool) -> f64 {
    if angle { off.sin().atan2(off.cos()).abs() } else { off.abs() }
}

/// Ridge added to the normal equations, relative to the number of rows.
const RIDGE: f64 = 1e-4;

impl Probe {
    /// Fits a probe to latents `[N, width]` and true states `[N, K]` called `names`; `None` without rows or states, or
    /// if the latents are not finite.
    pub fn fit(latents: &[f32], states: &[f32], names: &[String], width: usize) -> Option<Self> {
        let rows = latents.len() / width.max(1);
        if rows == 0 || names.is_empty() || states.len() != rows * names.len() {
            return None;
        }
        let angles: Vec<bool> = names.iter().map(|name| name.ends_with("_rad")).collect();
        let design = design(latents, width);
        let normal = design.tr_mul(&design) + DMatrix::identity(width + 1, width + 1) * (RIDGE * rows as f64);
        let map = normal.cholesky()?.solve(&design.tr_mul(&targets(states, &angles)));
        Some(Self { width, angles, map })
    }

    /// States `[N, K]` read from latents `[N, D]`; angles from -π to π.
    pub fn read(&self, latents: &[f32]) -> Vec<f64> {
        let found = design(latents, self.width) * &self.map;
        let mut states = Vec::with_capacity(found.nrows() * self.angles.len());
        for row in found.row_iter() {
            let mut column = 0;
            for &angle in &self.angles {
                states.push(if angle { row[column].atan2(row[column + 1]) } else { row[column] });
                column += 1 + usize::from(angle);
            }
        }
        states
    }

    /// Errors on held-out rows.
    pub fn errors_on(&self, latents: &[f32], states: &[f32]) -> ProbeErrors {
        let count = self.angles.len();
        let rows = (states.len() / count.max(1)).max(1) as f64;
        let truth = targets(states, &self.angles);
        let residual = design(latents, self.width) * &self.map - &truth;
        let square = |column: DVector<f64>| column.norm_squared() / rows;
        let total = |column: usize| {
            let column = truth.column(column).into_owned();
            let mean = column.mean();
            square(column.add_scalar(-mean))
        };
        let read = self.read(latents);
        let mut errors = ProbeErrors::default();
        let mut column = 0;
        for (index, &angle) in self.angles.iter().enumerate() {
            let columns = column..column + 1 + usize::from(angle);
            let left: f64 = columns.clone().map(|column| square(residual.column(column).into_owned())).sum();
            let all: f64 = columns.clone().map(|column| square(truth.column(column).into_owned())).sum();
            errors.r2.push(determination(left, columns.clone().map(total).sum::<f64>(), all));
            column = columns.end;
            let pairs = read.iter().skip(index).step_by(count).zip(states.iter().skip(index).step_by(count));
            let mut off: Vec<f64> = pairs.map(|(read, &truth)| apart(read - f64::from(truth), angle)).collect();
            errors.rmse.push((off.iter().map(|off| off * off).sum::<f64>() / rows).sqrt());
            off.sort_by(f64::total_cmp);
            errors.median.push(off.get(off.len() / 2).copied().unwrap_or(f64::NAN));
        }
        errors
    }
}

/// Latents `[N, D]` and a column of ones.
fn design(latents: &[f32], width: usize) -> DMatrix<f64> {
    DMatrix::from_fn(latents.len() / width, width + 1, |row, column| {
        if column == width { 1.0 } else { f64::from(latents[row * width + column]) }
    })
}

/// Targets of the linear map: the state, angles as sine and cosine.
fn targets(states: &[f32], angles: &[bool]) -> DMatrix<f64> {
    let columns = angles.len() + angles.iter().filter(|&&angle| angle).count();
    let values = states.chunks_exact(angles.len()).flat_map(|state| {
        state.iter().zip(angles).flat_map(|(&value, &angle)| {
            let value = f64::from(value);
            if angle { vec![value.sin(), value.cos()] } else { vec![value] }
        })
    });
    DMatrix::from_row_iterator(states.len() / angles.len(), columns, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latents(count: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * index) as f32 * 0.713).sin()).collect()
    }

    #[test]
    fn a_probe_finds_what_is_linear_and_only_that() {
        let latents = latents(600);
        let states: Vec<f32> = latents
            .chunks(3)
            .enumerate()
            .flat_map(|(row, z)| [2.0 * z[0] - z[2] + 0.5, ((row * row) as f32 * 1.37).cos()])
            .collect();
        let names = ["x_m".to_owned(), "noise".to_owned()];
        let probe = Probe::fit(&latents[..450], &states[..300], &names, 3);
        let errors = probe.map(|probe| probe.errors_on(&latents[450..], &states[300..])).unwrap_or_default();
        assert!(errors.r2[0] > 0.999 && errors.rmse[0] < 0.02 && errors.median[0] < 0.02, "{errors:?}");
        assert!(errors.r2[1] < 0.3, "{errors:?}");
    }

    #[test]
    fn what_does_not_vary_is_not_explained() {
        let latents = latents(600);
        let states: Vec<f32> = (0..200).flat_map(|row| [if row < 150 { row as f32 } else { 9000.1 }, 0.0]).collect();
        let probe = Probe::fit(&latents[..450], &states[..300], &["time".to_owned(), "none".to_owned()], 3);
        let r2 = probe.map(|probe| probe.errors_on(&latents[450..], &states[300..]).r2);
        assert_eq!(r2, Some(vec![0.0, 0.0]));
    }

    #[test]
    fn an_angle_is_read_across_its_seam() {
        // Angles on both sides of the seam at π, where a probe of the bare number would average the two ends.
        let turn = |value: f32| (std::f32::consts::PI + 0.5 * value).sin_cos();
        let angles: Vec<f32> = latents(300).into_iter().map(|value| turn(value).0.atan2(turn(value).1)).collect();
        let latents: Vec<f32> = angles.iter().flat_map(|angle| [2.0 * angle.sin() + 1.0, -angle.cos()]).collect();
        let probe = Probe::fit(&latents, &angles, &["turn_rad".to_owned()], 2).unwrap();
        let errors = probe.errors_on(&latents, &angles);
        assert!(errors.rmse[0] < 0.02 && errors.median[0] < 0.02 && errors.r2[0] > 0.99, "{errors:?}");
        let read = probe.read(&latents);
        assert!(read.iter().any(|angle| *angle > 3.0) && read.iter().any(|angle| *angle < -3.0));
    }

    #[test]
    fn without_states_there_is_no_probe() {
        assert!(Probe::fit(&latents(6), &[], &[], 3).is_none());
        assert!(Probe::fit(&[], &[], &["x_m".to_owned()], 3).is_none());
    }
}

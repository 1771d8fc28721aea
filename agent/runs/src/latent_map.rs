//! A map of the latent space: its two directions in which the run differs most (principal components).

use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Two directions of the latent space.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentMap {
    mean: DVector<f64>,
    axes: [DVector<f64>; 2],
}

impl LatentMap {
    /// The map of `latents`, `[D]` each; `None` for fewer than three, or where they do not differ. Axes point as those
    /// of `before` do, so that the map does not flip while it grows.
    pub fn of<'a>(latents: impl Iterator<Item = &'a [f32]>, before: Option<&Self>) -> Option<Self> {
        let rows: Vec<&[f32]> = latents.filter(|latent| !latent.is_empty()).collect();
        let width = rows.first()?.len();
        if rows.len() < 3 || rows.iter().any(|row| row.len() != width) {
            return None;
        }
        let values = DMatrix::from_fn(rows.len(), width, |row, column| f64::from(rows[row][column]));
        let mean = values.row_mean().transpose();
        let centred = DMatrix::from_fn(rows.len(), width, |row, column| values[(row, column)] - mean[column]);
        let eigen = SymmetricEigen::new(centred.tr_mul(&centred));
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let &[first, second, ..] = order.as_slice() else { return None };
        if eigen.eigenvalues[first].partial_cmp(&1e-12) != Some(std::cmp::Ordering::Greater) {
            return None;
        }
        let axis = |place: usize, number: usize| {
            let axis = eigen.eigenvectors.column(number).into_owned();
            let same_side =
                before.is_none_or(|map| map.axes[place].len() != width || map.axes[place].dot(&axis) >= 0.0);
            if same_side { axis } else { -axis }
        };
        Some(Self { mean, axes: [axis(0, first), axis(1, second)] })
    }

    /// Where `latent [D]` is on the map; `None` for one of another width.
    pub fn place(&self, latent: &[f32]) -> Option<[f64; 2]> {
        if latent.len() != self.mean.len() {
            return None;
        }
        let away = DVector::from_iterator(latent.len(), latent.iter().map(|value| f64::from(*value))) - &self.mean;
        Some([away.dot(&self.axes[0]), away.dot(&self.axes[1])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_axis_is_the_direction_of_the_largest_difference_and_does_not_flip() {
        let latents: Vec<Vec<f32>> = (0..10).map(|at| vec![at as f32, 0.1 * (at % 3) as f32, 5.0]).collect();
        let map = LatentMap::of(latents.iter().map(Vec::as_slice), None).unwrap();
        let along = |map: &LatentMap| map.place(&latents[9]).unwrap()[0] - map.place(&latents[0]).unwrap()[0];
        assert!((along(&map).abs() - 9.0).abs() < 0.1);
        let reversed: Vec<&[f32]> = latents.iter().rev().map(Vec::as_slice).collect();
        let again = LatentMap::of(reversed.into_iter(), Some(&map)).unwrap();
        assert!(along(&map) * along(&again) > 0.0);
        assert_eq!(map.place(&[0.0]), None);
    }

    #[test]
    fn equal_latents_have_no_map() {
        let latents = vec![vec![1.0f32, 2.0]; 5];
        assert_eq!(LatentMap::of(latents.iter().map(Vec::as_slice), None), None);
        assert_eq!(LatentMap::of(latents.iter().take(2).map(Vec::as_slice), None), None);
    }
}

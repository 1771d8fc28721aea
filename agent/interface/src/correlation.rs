//! Correlation of two series of numbers.

/// The rank of each value, from 0 on; equal ones share their mean rank.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = first as f64 + (equal.len() as f64 - 1.0) / 2.0;
        equal.iter().for_each(|&index| ranks[index] = rank);
        first += equal.len();
    }
    ranks
}

/// Pearson's correlation of two series of equal length; `None` where one of them does not vary.
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut square_a, mut square_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        both += a * b;
        square_a += a * a;
        square_b += b * b;
    }
    let scale = (square_a * square_b).sqrt();
    (scale > 0.0).then(|| both / scale)
}

/// Spearman's rank correlation: that of the [`ranks`]; `None` where one of the series does not vary.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    pearson(&ranks(a), &ranks(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation_is_one_minus_one_or_none() {
        let rising = [1.0, 2.0, 30.0, 31.0, 500.0];
        let is_near = |found: Option<f64>, expected: f64| found.is_some_and(|found| (found - expected).abs() < 1e-12);
        assert!(is_near(spearman(&rising, &[0.1, 0.2, 0.3, 0.4, 9.0]), 1.0));
        assert!(is_near(spearman(&rising, &[5.0, 4.0, 3.0, 2.0, 1.0]), -1.0));
        assert_eq!(spearman(&rising, &[2.0; 5]), None);
        // By hand: ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3.
        assert!(is_near(spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]), 4.5 / (4.5f64 * 5.0).sqrt()));
    }
}

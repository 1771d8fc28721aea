//! Matrix product on plain slices, single-threaded: work is split outside (see `ARCHITECTURE.md`, threads).

/// A row-major matrix, read as it is or transposed.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// Values from one stored row to the next.
    stride: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// `values` as `[rows, columns]`, row-major.
    ///
    /// # Panics
    /// When the number of values is not `rows * columns`: a bug of the caller.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "matrix of {rows}x{columns}");
        Self { values, rows, columns, stride: columns, transposed: false }
    }

    /// `[rows, columns]` whose rows begin `stride` values apart in `values`.
    ///
    /// # Panics
    /// When rows overlap or reach over the end: a bug of the caller.
    pub fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(columns <= stride && rows > 0, "rows of {columns} values, {stride} apart");
        assert!((rows - 1) * stride + columns <= values.len(), "matrix of {rows}x{columns}");
        Self { values, rows, columns, stride, transposed: false }
    }

    /// The same matrix, rows and columns exchanged, without moving a value.
    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    /// (row stride, column stride) in values.
    fn strides(&self) -> (isize, isize) {
        let stride = self.stride as isize;
        if self.transposed { (1, stride) } else { (stride, 1) }
    }
}

/// Writes or adds `left [M, K] x right [K, N]` to `product [M, N]`, row-major.
///
/// # Panics
/// When the shapes do not fit: a bug of the caller.
#[allow(unsafe_code)] // gemm's interface is raw pointers; the asserts below are its whole contract
pub fn matmul(product: &mut [f32], left: Matrix<'_>, right: Matrix<'_>, accumulate: bool) {
    let (rows, inner, columns) = (left.rows, left.columns, right.columns);
    assert_eq!(inner, right.rows, "inner sizes");
    assert_eq!(product.len(), rows * columns, "product of {rows}x{columns}");
    let (left_row_stride, left_column_stride) = left.strides();
    let (right_row_stride, right_column_stride) = right.strides();
    // SAFETY: every slice holds the rows x columns values of its matrix (checked here and in the constructors), the
    // strides address within them, and `product` is borrowed mutably, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            product.as_mut_ptr(),
            1,
            columns as isize,
            accumulate,
            left.values.as_ptr(),
            left_column_stride,
            left_row_stride,
            right.values.as_ptr(),
            right_column_stride,
            right_row_stride,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_the_definition() {
        let (rows, inner, columns) = (5, 7, 3);
        let left: Vec<f32> = (0..rows * inner).map(|index| (index as f32 * 0.37).sin()).collect();
        let right: Vec<f32> = (0..inner * columns).map(|index| (index as f32 * 0.61).cos()).collect();
        let mut expected = vec![0.0f32; rows * columns];
        for row in 0..rows {
            for column in 0..columns {
                expected[row * columns + column] =
                    (0..inner).map(|k| left[row * inner + k] * right[k * columns + column]).sum();
            }
        }
        let mut right_transposed = vec![0.0; right.len()];
        for k in 0..inner {
            for column in 0..columns {
                right_transposed[column * inner + k] = right[k * columns + column];
            }
        }
        let close = |got: &[f32], scale: f32| got.iter().zip(&expected).all(|(a, b)| (a - scale * b).abs() < 1e-4);
        let mut product = vec![9.0; rows * columns];
        matmul(&mut product, Matrix::new(&left, rows, inner), Matrix::new(&right, inner, columns), false);
        assert!(close(&product, 1.0));
        matmul(
            &mut product,
            Matrix::new(&left, rows, inner),
            Matrix::new(&right_transposed, columns, inner).transposed(),
            true,
        );
        assert!(close(&product, 2.0));
    }
}

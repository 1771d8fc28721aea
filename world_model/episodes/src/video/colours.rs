//! Matrix and range of planes, as streams and containers state them.

/// Matrix between RGB and the planes (ISO/IEC 23091-2, `MatrixCoefficients`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// ITU-R BT.601, also of unlabelled files.
    Bt601,
    /// ITU-R BT.709.
    Bt709,
    /// FCC.
    Fcc,
    /// SMPTE ST 240.
    Smpte240,
    /// ITU-R BT.2020, non-constant luminance.
    Bt2020,
    /// No matrix: the planes are green, blue and red.
    Rgb,
}

impl Matrix {
    /// Shares of red and blue in luma.
    pub(super) fn red_and_blue(self) -> (f64, f64) {
        match self {
            Self::Bt601 | Self::Rgb => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Fcc => (0.30, 0.11),
            Self::Smpte240 => (0.212, 0.087),
            Self::Bt2020 => (0.2627, 0.0593),
        }
    }
}

/// Colour space of planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours {
    /// Matrix between RGB and the planes.
    pub matrix: Matrix,
    /// Whether the range is 0 to 255 instead of 16 to 235.
    pub full_range: bool,
}

/// What a stream or a container states about colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Label {
    /// Code of the matrix, if there is one.
    matrix: Option<u8>,
    full_range: Option<bool>,
}

/// Code of a matrix that is not known.
const UNSPECIFIED: u8 = 2;

impl Label {
    /// Of AV1 without chroma, which readers based on ffmpeg take for full range, whatever the stream states.
    pub const GREY: Self = Self { matrix: None, full_range: Some(true) };

    pub fn new(matrix: Option<u8>, full_range: Option<bool>) -> Self {
        Self { matrix: matrix.filter(|code| *code != UNSPECIFIED), full_range }
    }

    /// This label, and what `other` states besides.
    pub fn or(self, other: Self) -> Self {
        Self { matrix: self.matrix.or(other.matrix), full_range: self.full_range.or(other.full_range) }
    }

    /// The colours; BT.601 of limited range where nothing is stated.
    ///
    /// # Errors
    /// The code of a matrix that cannot be converted, on one line.
    pub fn colours(self) -> Result<Colours, String> {
        let matrix = match self.matrix {
            None | Some(5 | 6) => Matrix::Bt601,
            Some(0) => Matrix::Rgb,
            Some(1) => Matrix::Bt709,
            Some(4) => Matrix::Fcc,
            Some(7) => Matrix::Smpte240,
            Some(9) => Matrix::Bt2020,
            Some(code) => return Err(format!("a colour matrix that is not known here (code {code})")),
        };
        Ok(Colours { matrix, full_range: self.full_range.unwrap_or(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_states_first_then_the_container_and_the_default_is_bt601_of_limited_range() {
        let colours = |matrix, full_range| Ok(Colours { matrix, full_range });
        let (nothing, full) = (Label::default(), Label::new(Some(2), Some(true)));
        let bt709 = Label::new(Some(1), Some(false));
        assert_eq!(nothing.colours(), colours(Matrix::Bt601, false));
        assert_eq!(nothing.or(bt709).colours(), colours(Matrix::Bt709, false));
        assert_eq!(full.or(bt709).colours(), colours(Matrix::Bt709, true));
        assert_eq!(bt709.or(full).colours(), colours(Matrix::Bt709, false));
        assert!(Label::new(Some(8), None).colours().is_err_and(|error| error.contains("code 8")));
    }
}

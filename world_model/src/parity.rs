//! Comparison with what another implementation computed: a file of inputs (`in.`) and expected outputs (`out.`) beside
//! a model, in the names of whoever wrote it.

use std::collections::BTreeMap;
use std::path::Path;

use mindseye_interface::MemoryLimit;
use mindseye_interface::text::printable;
use serde::Serialize;

use crate::tensor_files::TensorFiles;
use crate::{Error, Result};

/// Name of the file.
const FILE: &str = "io.safetensors";
/// Most error of a value, where the file's output has values of order 1.
const TOLERANCE: f32 = 1e-4;

/// One expected output, compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputParity {
    /// Its name in the file.
    pub name: String,
    /// The value here that it was compared with; none: nothing of its size is computed here.
    pub compared_with: Option<String>,
    /// Largest absolute difference, or of large values relative to the largest; infinite where nothing was compared.
    pub max_error: f32,
    /// Most that is accepted.
    pub tolerance: f32,
}

impl OutputParity {
    /// Whether it agrees.
    pub fn agrees(&self) -> bool {
        self.max_error <= self.tolerance
    }
}

/// All expected outputs of a folder, compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParityReport {
    /// What the folder holds.
    pub model: String,
    /// The outputs, by name.
    pub outputs: Vec<OutputParity>,
}

impl ParityReport {
    /// Whether every output agrees, and there is one.
    pub fn agrees(&self) -> bool {
        !self.outputs.is_empty() && self.outputs.iter().all(OutputParity::agrees)
    }
}

/// One line per output, and one for all, without a line break at the end.
impl std::fmt::Display for ParityReport {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(text, "{}", self.model)?;
        let width = self.outputs.iter().map(|output| output.name.len()).max().unwrap_or(0).min(60);
        for output in &self.outputs {
            let (name, verdict) = (printable(&output.name), if output.agrees() { "agrees" } else { "DIFFERS" });
            match &output.compared_with {
                None => writeln!(text, "  {name:width$}  nothing of this size is computed here  {verdict}")?,
                Some(other) => {
                    let read_as = if *other == output.name { String::new() } else { format!("  (read as {other})") };
                    writeln!(text, "  {name:width$}  max error {:.1e}  {verdict}{read_as}", output.max_error)?;
                }
            }
        }
        let good = self.outputs.iter().filter(|output| output.agrees()).count();
        write!(text, "{good} of {} outputs agree", self.outputs.len())
    }
}

/// A tensor of the file.
#[derive(Debug, Clone)]
pub(crate) struct IoTensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
    /// Whether the values are whole numbers.
    pub is_whole: bool,
    /// Whether they are true (1) or false (0).
    pub is_flag: bool,
}

/// Inputs and expected outputs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Io {
    /// By name, without `in.`.
    pub inputs: BTreeMap<String, IoTensor>,
    /// By name, without `out.`.
    pub outputs: BTreeMap<String, IoTensor>,
    /// Tensors of other names.
    pub others: BTreeMap<String, IoTensor>,
}

impl Io {
    /// Reads the file in `folder`.
    ///
    /// # Errors
    /// [`Error::File`] when there is none, it is broken, or it needs more memory than `memory`.
    pub fn read(folder: &Path, memory: MemoryLimit) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Err(Error::file(&path, "expected inputs (in.NAME) and expected outputs (out.NAME), got no file"));
        }
        let mut file = TensorFiles::open_file(&path, memory)?;
        let listed: Vec<(String, Vec<usize>)> =
            file.tensors().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
        let mut io = Self::default();
        for (name, shape) in listed {
            let (is_whole, is_flag) = file.whole(&name);
            let tensor = IoTensor { values: file.values(&name)?, shape, is_whole, is_flag };
            let (map, name) = match (name.strip_prefix("in."), name.strip_prefix("out.")) {
                (Some(name), _) => (&mut io.inputs, name),
                (_, Some(name)) => (&mut io.outputs, name),
                _ => (&mut io.others, name.as_str()),
            };
            map.insert(name.to_owned(), tensor);
        }
        Ok(io)
    }
}

/// A value computed here, under every name that files may give it.
#[derive(Debug, Clone)]
pub(crate) struct Quantity {
    pub names: Vec<String>,
    pub values: Vec<f32>,
    /// Most error that is accepted.
    pub tolerance: f32,
    /// Whether errors count relative to the largest value: costs, losses, gradients.
    pub relative: bool,
}

impl Quantity {
    pub fn new(names: &[&str], values: Vec<f32>) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self { names, values, tolerance: TOLERANCE, relative: false }
    }

    /// One whose errors count relative to the largest value.
    pub fn relative(name: &str, values: Vec<f32>, tolerance: f32) -> Self {
        Self { tolerance, relative: true, ..Self::new(&[name], values) }
    }

    /// Largest difference from `expected`, of the same length.
    fn error(&self, expected: &[f32]) -> f32 {
        let differences = self.values.iter().zip(expected).map(|(got, expected)| (got - expected).abs());
        // A value that is no number must not pass for a small one.
        let worst =
            differences.fold(0.0f32, |worst, error| if error.is_nan() { f32::INFINITY } else { worst.max(error) });
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        if self.relative && largest > 0.0 { worst / largest } else { worst }
    }
}

/// Compares every expected output: with the value of its name, or, for a name that is not known here, with the nearest
/// value of its size. The report says which.
pub(crate) fn compared(outputs: &BTreeMap<String, IoTensor>, quantities: &[Quantity]) -> Vec<OutputParity> {
    let compare = |(name, expected): (&String, &IoTensor)| {
        let of_size = |quantity: &&Quantity| quantity.values.len() == expected.values.len();
        let known = |quantity: &&Quantity| quantity.names.contains(name);
        let is_known = quantities.iter().any(|quantity| known(&quantity));
        let candidates = quantities.iter().filter(|quantity| of_size(quantity) && (!is_known || known(quantity)));
        let errors = candidates.map(|quantity| (quantity, quantity.error(&expected.values)));
        let nearest = errors.min_by(|(_, a), (_, b)| a.total_cmp(b));
        let compared_with = nearest.map(|(quantity, _)| match known(&quantity) {
            true => name.clone(),
            false => quantity.names.first().cloned().unwrap_or_default(),
        });
        OutputParity {
            name: name.clone(),
            compared_with,
            max_error: nearest.map_or(f32::INFINITY, |(_, error)| error),
            tolerance: nearest.map_or(TOLERANCE, |(quantity, _)| quantity.tolerance),
        }
    };
    outputs.iter().map(compare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(named: &[(&str, &[f32])]) -> BTreeMap<String, IoTensor> {
        let tensor = |values: &[f32]| {
            let (shape, values) = (vec![values.len()], values.to_vec());
            IoTensor { shape, values, is_whole: false, is_flag: false }
        };
        named.iter().map(|(name, values)| ((*name).to_owned(), tensor(values))).collect()
    }

    #[test]
    fn known_names_are_compared_strictly_and_unknown_ones_with_the_nearest_value() {
        let here = [Quantity::new(&["tokens"], vec![1.0, 2.0]), Quantity::new(&["pooled"], vec![3.0, 4.0])];
        let expected = outputs(&[("pooled", &[1.0, 2.0]), ("strange", &[1.0, 2.00001]), ("other", &[1.0])]);
        let compared = compared(&expected, &here);
        let of = |name: &str| compared.iter().find(|output| output.name == name).unwrap();
        assert!(!of("pooled").agrees() && of("pooled").max_error == 2.0, "not the tokens, though they would fit");
        assert!(of("strange").agrees() && of("strange").compared_with.as_deref() == Some("tokens"));
        assert!(!of("other").agrees() && of("other").compared_with.is_none());
        let report = ParityReport { model: "a model".into(), outputs: compared };
        assert!(!report.agrees());
        let text = report.to_string();
        assert!(text.contains("(read as tokens)") && text.ends_with("1 of 3 outputs agree"), "{text}");
    }

    #[test]
    fn a_value_that_is_no_number_never_agrees() {
        let here = [Quantity::new(&["tokens"], vec![f32::NAN, 2.0])];
        assert!(!compared(&outputs(&[("tokens", &[1.0, 2.0])]), &here)[0].agrees());
    }
}

//! Files of tensors, read one tensor at a time: safetensors, whole or in shards, and PyTorch's. What a file promises is
//! checked before memory is allocated; nothing in a file is ever run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use mindseye_interface::memory::product;
use mindseye_interface::{MemoryLimit, inputs};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde_json::Value;

use crate::ops::with_values;
use crate::pickle::PickledWeights;
use crate::{Error, Result};

/// Most bytes of the list of tensors in a safetensors file; the format's own limit.
const MAX_HEADER: u64 = 100_000_000;
/// Most shards of a model.
const MAX_SHARDS: usize = 1000;
/// Most tensors of a model.
const MAX_TENSORS: usize = 100_000;
/// The list of the shards of a model.
const INDEX: &str = "model.safetensors.index.json";
/// Names under which authors' trainings keep an encoder, the one to use first: the target is what their evaluation
/// uses.
pub(crate) const ENCODERS: [&str; 3] = ["target_encoder", "ema_encoder", "encoder"];
/// Further entries of an authors' checkpoint that hold tensors of models.
const MODELS: [&str; 6] = ["predictor", "classifiers", "classifier", "model", "state_dict", "teacher"];

/// Where a tensor's values are.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In a safetensors file, from this byte on.
    Plain { start: u64, dtype: Dtype },
    /// In a PyTorch file, by its number there.
    Pickled(usize),
}

#[derive(Debug, Clone)]
struct Entry {
    file: usize,
    shape: Vec<usize>,
    place: Place,
}

#[derive(Debug)]
enum Opened {
    Plain(PathBuf, File),
    Pickled(PathBuf, PickledWeights),
}

/// Files of tensors whose lists have been read, but none of their values.
#[derive(Debug)]
pub(crate) struct TensorFiles {
    opened: Vec<Opened>,
    entries: BTreeMap<String, Entry>,
    memory: MemoryLimit,
}

impl TensorFiles {
    /// Opens the weights at `path`: a folder, or one file.
    ///
    /// # Errors
    /// [`Error::File`] when there are none or several to choose from, and for files whose lists make no sense.
    pub fn open(path: &Path, memory: MemoryLimit) -> Result<Self> {
        let mut files = Self { opened: Vec::new(), entries: BTreeMap::new(), memory };
        for file in weights_in(path)? {
            files.add(&file)?;
        }
        Ok(files)
    }

    /// Opens one safetensors file, whatever it is called.
    ///
    /// # Errors
    /// As [`TensorFiles::open`].
    pub fn open_file(path: &Path, memory: MemoryLimit) -> Result<Self> {
        let mut files = Self { opened: Vec::new(), entries: BTreeMap::new(), memory };
        files.add_plain(path)?;
        Ok(files)
    }

    /// Names and shapes.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> + Clone {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry.shape.as_slice()))
    }

    /// Whether the tensor `name` has whole numbers, and whether they are true or false.
    pub fn whole(&self, name: &str) -> (bool, bool) {
        match self.entries.get(name).map(|entry| entry.place) {
            Some(Place::Plain { dtype, .. }) => {
                let integers = [Dtype::I64, Dtype::I32, Dtype::U8, Dtype::BOOL];
                (integers.contains(&dtype), dtype == Dtype::BOOL)
            }
            _ => (false, false),
        }
    }

    /// What kind of whole numbers the tensor `name` has; none where its numbers are floats.
    pub fn integers(&self, name: &str) -> Option<String> {
        let entry = self.entries.get(name)?;
        match (entry.place, self.opened.get(entry.file)) {
            (Place::Plain { dtype, .. }, _) => {
                let is_float = [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16].contains(&dtype);
                (!is_float).then(|| format!("{dtype:?}"))
            }
            (Place::Pickled(index), Some(Opened::Pickled(_, file))) => {
                let dtype = file.tensors().get(index)?.dtype;
                (!dtype.is_float()).then(|| format!("{dtype:?}"))
            }
            _ => None,
        }
    }

    /// The paths of the files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.opened.iter().map(|opened| match opened {
            Opened::Plain(path, _) | Opened::Pickled(path, _) => path.as_path(),
        })
    }

    /// Values of the tensor `name`, each finite, as `f32`.
    ///
    /// # Errors
    /// [`Error::File`] naming file and tensor, also for values that are not finite.
    pub fn values(&mut self, name: &str) -> Result<Vec<f32>> {
        let Some(entry) = self.entries.get(name).cloned() else {
            let expected = format!("a tensor {name}");
            return Err(Error::Shape { operation: "reading tensors", expected, got: "none".into() });
        };
        self.memory.require(name, product(&entry.shape).saturating_mul(8))?;
        let memory = self.memory;
        let (path, values) = match (self.opened.get_mut(entry.file), entry.place) {
            (Some(Opened::Plain(path, file)), Place::Plain { start, dtype }) => {
                let read = plain_values(file, start, dtype, &entry.shape);
                (path.clone(), read.map_err(|reason| Error::file(path, format!("{name}: {reason}")))?)
            }
            (Some(Opened::Pickled(path, file)), Place::Pickled(index)) => {
                let tensor = file.tensor(index, memory)?.to_dtype(DType::F32)?;
                (path.clone(), with_values(&tensor, <[f32]>::to_vec)?)
            }
            _ => (PathBuf::new(), Vec::new()),
        };
        if values.iter().all(|value| value.is_finite()) {
            return Ok(values);
        }
        Err(Error::file(&path, format!("{name}: expected finite values, got NaN or infinity")))
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        if is_safetensors(path) { self.add_plain(path) } else { self.add_pickled(path) }
    }

    fn add_plain(&mut self, path: &Path) -> Result<()> {
        let refused = |reason: String| Error::file(path, reason);
        let mut file = inputs::open(path, u64::MAX).map_err(|error| refused(error.to_string()))?;
        let (data, metadata) = plain_list(&mut file).map_err(refused)?;
        let number = self.opened.len();
        for (name, info) in metadata.tensors() {
            let place = Place::Plain { start: data + info.data_offsets.0 as u64, dtype: info.dtype };
            self.insert(path, name, Entry { file: number, shape: info.shape.clone(), place })?;
        }
        self.opened.push(Opened::Plain(path.to_path_buf(), file));
        Ok(())
    }

    fn add_pickled(&mut self, path: &Path) -> Result<()> {
        let enter = |key: &str| ENCODERS.contains(&key) || MODELS.contains(&key);
        let file = PickledWeights::open_tree(path, u64::MAX, &enter)?;
        let number = self.opened.len();
        for (index, tensor) in file.tensors().iter().enumerate() {
            // State dicts under these keys are whole models.
            let name = ["model.", "state_dict.", "teacher."].iter().find_map(|key| tensor.name.strip_prefix(key));
            let (shape, place) = (tensor.shape.clone(), Place::Pickled(index));
            let name = name.unwrap_or(&tensor.name).to_owned();
            self.insert(path, name, Entry { file: number, shape, place })?;
        }
        self.opened.push(Opened::Pickled(path.to_path_buf(), file));
        Ok(())
    }

    fn insert(&mut self, path: &Path, name: String, entry: Entry) -> Result<()> {
        if self.entries.contains_key(&name) {
            return Err(Error::file(path, format!("{name}: expected one tensor of this name, got two")));
        }
        if self.entries.len() >= MAX_TENSORS {
            return Err(Error::file(path, format!("expected at most {MAX_TENSORS} tensors, got more")));
        }
        self.entries.insert(name, entry);
        Ok(())
    }
}

/// The list of a safetensors file, and the byte at which its values begin. The file is as long as the list says.
fn plain_list(file: &mut File) -> std::result::Result<(u64, Metadata), String> {
    let text = |error: std::io::Error| error.to_string();
    let length = file.metadata().map_err(text)?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|_| format!("expected a safetensors file, got {length} bytes"))?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER || size.saturating_add(8) > length {
        let most = MAX_HEADER.min(length.saturating_sub(8));
        return Err(format!("expected a list of tensors of at most {most} bytes, got {size}"));
    }
    let mut header = vec![0; usize::try_from(size).map_err(|error| error.to_string())?];
    file.read_exact(&mut header).map_err(text)?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| format!("list of tensors: {error}"))?;
    let end = metadata.tensors().values().map(|info| info.data_offsets.1 as u64).max().unwrap_or(0);
    let expected = end.saturating_add(8).saturating_add(size);
    if expected != length {
        return Err(format!("expected {expected} bytes, as its list of tensors says, got {length}"));
    }
    Ok((8 + size, metadata))
}

/// Values in a safetensors file. Its list says that so many bytes are there.
fn plain_values(file: &mut File, start: u64, dtype: Dtype, shape: &[usize]) -> std::result::Result<Vec<f32>, String> {
    let known = match dtype {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F64 => DType::F64,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::U8 | Dtype::BOOL => DType::U8,
        other => return Err(format!("expected floats or integers of a common kind, got {other:?}")),
    };
    let count: usize = shape.iter().product();
    let mut bytes = vec![0; count * known.size_in_bytes()];
    file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes)).map_err(|error| error.to_string())?;
    if known == DType::F32 {
        return Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect());
    }
    let tensor = Tensor::from_raw_buffer(&bytes, known, &[count], &Device::Cpu);
    let values = tensor.and_then(|tensor| tensor.to_dtype(DType::F32)?.to_vec1::<f32>());
    values.map_err(|error| error.to_string())
}

/// The files of weights at `path`.
fn weights_in(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let whole = path.join("model.safetensors");
    if whole.exists() {
        return Ok(vec![whole]);
    }
    let index = path.join(INDEX);
    if index.exists() {
        return shards(&index, path);
    }
    let entries = std::fs::read_dir(path).map_err(|error| Error::file(path, error))?;
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|file| file.is_file() && is_weights(file));
    found.sort();
    // The authors publish a classifier as a file beside its encoder's.
    let encoders = found.iter().filter(|file| !name_of(file).contains("probe")).count();
    match (found.len(), encoders) {
        (1, _) | (2, 1) => Ok(found),
        (0, _) => {
            let expected = "expected weights here (or model.safetensors.index.json, or one .pt), got none";
            Err(Error::file(&whole, expected))
        }
        _ => {
            let names: Vec<String> = found.iter().map(|file| name_of(file)).collect();
            let got = names.join(", ");
            Err(Error::file(path, format!("expected one of its files of weights instead of the folder: {got}")))
        }
    }
}

/// The shards that an index names, all of them beside it.
fn shards(index: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let refused = |reason: String| Error::file(index, reason);
    let text = inputs::read(index, 16 * inputs::MAX_CONFIG_BYTES).map_err(|error| refused(error.to_string()))?;
    let content: Value = serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?;
    let Some(map) = content["weight_map"].as_object() else {
        return Err(refused("weight_map: expected the files of the tensors, got none".into()));
    };
    let mut names: Vec<&str> = map.values().filter_map(Value::as_str).collect();
    names.sort_unstable();
    names.dedup();
    if let Some(outside) = names.iter().find(|name| name.contains(['/', '\\']) || name.starts_with('.')) {
        return Err(refused(format!("weight_map: expected names of files beside it, got {outside:?}")));
    }
    if names.is_empty() || names.len() > MAX_SHARDS {
        return Err(refused(format!("weight_map: expected 1 to {MAX_SHARDS} files, got {}", names.len())));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// Whether a file may hold weights; the inputs and outputs of a parity check do not.
fn is_weights(file: &Path) -> bool {
    let name = name_of(file);
    let is_pytorch = [".pt", ".pth", ".pth.tar", ".pt.tar", ".ckpt", ".bin"].iter().any(|end| name.ends_with(end));
    is_pytorch || is_safetensors(file) && name != "io.safetensors"
}

fn is_safetensors(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "safetensors")
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

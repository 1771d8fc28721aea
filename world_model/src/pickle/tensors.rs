//! Tensors as a state dict describes them.

use std::collections::BTreeSet;

use candle_core::DType;

use super::machine::Pickle;
use super::values::{Id, Name, Value, kind};

/// A tensor: a view of a storage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredTensor {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<usize>,
    /// Elements between neighbours, per dimension.
    strides: Vec<usize>,
    /// Elements before the first.
    offset: usize,
    /// Name of the storage.
    pub(super) storage: String,
    /// Elements of the storage.
    elements: usize,
}

/// Names under which trainers' checkpoints have a state dict.
const INNER: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// The tensors of a pickled state dict. Values that are no tensors are passed over; a tensor that makes no sense is
/// refused by its name.
///
/// # Errors
/// When it is no state dict, or describes a tensor in another way than PyTorch does.
pub(crate) fn tensors_of(list: &[u8]) -> Result<Vec<StoredTensor>, String> {
    let (pickle, root) = Pickle::read(list).map_err(|reason| format!("data.pkl: {reason}"))?;
    let items = match pickle.value(root) {
        Value::Dict(number) => items_of(&pickle, *number),
        other => return Err(format!("data.pkl: expected a state dict, got {}", kind(other))),
    };
    // The checkpoint of a trainer has its state dict beside other things.
    let inner = items.iter().find_map(|&(name, value)| match (pickle.value(name), pickle.value(value)) {
        (Value::Text(name), Value::Dict(number)) if pickle.text(name).is_ok_and(|name| INNER.contains(&name)) => {
            Some(items_of(&pickle, *number))
        }
        _ => None,
    });
    let items = inner.unwrap_or(items);
    let (mut tensors, mut names) = (Vec::new(), BTreeSet::new());
    for &(name, value) in items {
        let (Value::Text(name), Value::Call(..)) = (pickle.value(name), pickle.value(value)) else { continue };
        let name = pickle.text(name)?;
        let named = |reason: String| format!("{name}: {reason}");
        if !names.insert(name) {
            return Err(named("expected one tensor of this name, got two".into()));
        }
        tensors.push(tensor(&pickle, name, value).map_err(named)?);
    }
    if tensors.is_empty() {
        return Err("data.pkl: expected a state dict of tensors, got none".into());
    }
    Ok(tensors)
}

/// Most values visited in a tree of dicts: dicts may be shared, and a tree of them larger than the pickle.
const MAX_VISITED: usize = 1 << 18;
/// Most dicts and lists above a tensor.
const MAX_DEPTH: usize = 6;

/// The tensors in a tree of dicts and lists, each named by the keys that lead to it, joined by dots. Of the root's
/// entries only those are entered whose key `enter` accepts; its own tensors are all listed.
///
/// # Errors
/// As [`tensors_of`], and when the tree is larger than that of any model.
pub(crate) fn tensors_in_tree(list: &[u8], enter: &dyn Fn(&str) -> bool) -> Result<Vec<StoredTensor>, String> {
    let (pickle, root) = Pickle::read(list).map_err(|reason| format!("data.pkl: {reason}"))?;
    if !matches!(pickle.value(root), Value::Dict(_)) {
        return Err(format!("data.pkl: expected a dict of state dicts, got {}", kind(pickle.value(root))));
    }
    let (mut tensors, mut names, mut visited) = (Vec::new(), BTreeSet::new(), 0_usize);
    let mut waiting = vec![(String::new(), root, 0_usize)];
    while let Some((path, id, depth)) = waiting.pop() {
        let entries: Vec<(String, Id)> = match pickle.value(id) {
            Value::Call(..) => {
                let named = |reason: String| format!("{path}: {reason}");
                if !names.insert(path.clone()) {
                    return Err(named("expected one tensor of this name, got two".into()));
                }
                tensors.push(tensor(&pickle, &path, id).map_err(named)?);
                continue;
            }
            Value::Dict(number) => {
                let keyed = items_of(&pickle, *number).iter().filter_map(|&(key, value)| match pickle.value(key) {
                    Value::Text(text) => Some((pickle.text(text).ok()?.to_owned(), value)),
                    _ => None,
                });
                keyed.collect()
            }
            Value::List(number) => {
                let items = pickle.lists.get(*number as usize).map(Vec::as_slice).unwrap_or_default();
                items.iter().enumerate().map(|(index, &value)| (index.to_string(), value)).collect()
            }
            _ => continue,
        };
        visited = visited.saturating_add(entries.len());
        if visited > MAX_VISITED || depth >= MAX_DEPTH {
            let most = format!("{MAX_VISITED} entries, {MAX_DEPTH} dicts in each other");
            return Err(format!("data.pkl: expected at most {most}, got more at {path:?}"));
        }
        for (key, value) in entries {
            let is_tensor = matches!(pickle.value(value), Value::Call(..));
            if depth > 0 || is_tensor || enter(&key) {
                let name = if path.is_empty() { key } else { format!("{path}.{key}") };
                waiting.push((name, value, depth + 1));
            }
        }
    }
    if tensors.is_empty() {
        return Err("data.pkl: expected state dicts of tensors, got none".into());
    }
    Ok(tensors)
}

fn items_of<'a>(pickle: &'a Pickle<'_>, number: u32) -> &'a [(Id, Id)] {
    pickle.dicts.get(number as usize).map(Vec::as_slice).unwrap_or_default()
}

/// A parameter is a tensor in one more call, a tensor of a type of its own in another.
fn tensor(pickle: &Pickle<'_>, name: &str, value: Id) -> Result<StoredTensor, String> {
    const MAX_WRAPPERS: usize = 3;
    let mut value = pickle.value(value).clone();
    for _ in 0..MAX_WRAPPERS {
        let Value::Call(callable, arguments) = value else {
            return Err(format!("expected a tensor, got {}", kind(&value)));
        };
        match callable {
            Name::RebuildTensor => return rebuilt(pickle, name, arguments),
            Name::RebuildParameter => {
                let [tensor, ..] = arguments_of(pickle, "_rebuild_parameter", arguments, 3..=4)? else { break };
                value = pickle.value(*tensor).clone();
            }
            Name::RebuildFromType => {
                let arguments = arguments_of(pickle, "_rebuild_from_type_v2", arguments, 4..=4)?;
                let [function, _, inner, _] = arguments else { break };
                value = match *pickle.value(*function) {
                    Value::Name(name) => Value::Call(name, *inner),
                    ref other => return Err(format!("expected a name to rebuild a tensor by, got {}", kind(other))),
                };
            }
            _ => break,
        }
    }
    Err("expected a tensor, got another call".into())
}

fn arguments_of<'a>(
    pickle: &'a Pickle<'_>,
    function: &str,
    arguments: Id,
    count: std::ops::RangeInclusive<usize>,
) -> Result<&'a [Id], String> {
    let arguments = pickle.tuple(arguments).map_err(|reason| format!("arguments of {function}: {reason}"))?;
    if count.contains(&arguments.len()) {
        return Ok(arguments);
    }
    let (low, high, got) = (count.start(), count.end(), arguments.len());
    Err(format!("{function}: expected {low} to {high} arguments, got {got}"))
}

/// Arguments: storage, offset, size, stride, whether it needs gradients, hooks, and sometimes attributes. The storage
/// is described by the word "storage", a type, a key, a device and its number of elements.
fn rebuilt(pickle: &Pickle<'_>, name: &str, arguments: Id) -> Result<StoredTensor, String> {
    let arguments = arguments_of(pickle, "_rebuild_tensor_v2", arguments, 6..=7)?;
    let [storage, offset, size, stride, ..] = arguments else { return Err("expected a tensor, got none".into()) };
    let Value::Storage(description) = *pickle.value(*storage) else {
        return Err(format!("expected a storage, got {}", kind(pickle.value(*storage))));
    };
    let description = arguments_of(pickle, "storage", description, 5..=6)?;
    let [_, of_type, key, _, elements, ..] = description else { return Err("expected a storage, got none".into()) };
    let Value::Name(Name::Storage(dtype)) = *pickle.value(*of_type) else {
        return Err(format!("storage: expected its type, got {}", kind(pickle.value(*of_type))));
    };
    let Value::Text(key) = pickle.value(*key) else {
        return Err(format!("storage: expected the text of its key, got {}", kind(pickle.value(*key))));
    };
    let tensor = StoredTensor {
        name: name.to_owned(),
        dtype,
        shape: sizes(pickle, "size", *size)?,
        strides: sizes(pickle, "stride", *stride)?,
        offset: number(pickle, "offset", *offset)?,
        storage: pickle.text(key)?.to_owned(),
        elements: number(pickle, "elements of the storage", *elements)?,
    };
    tensor.require_within()?;
    Ok(tensor)
}

fn sizes(pickle: &Pickle<'_>, field: &str, id: Id) -> Result<Vec<usize>, String> {
    const MAX_RANK: usize = 16;
    let values = pickle.tuple(id).map_err(|reason| format!("{field}: {reason}"))?;
    if values.len() > MAX_RANK {
        return Err(format!("{field}: expected at most {MAX_RANK} dimensions, got {}", values.len()));
    }
    values.iter().map(|&value| number(pickle, field, value)).collect()
}

fn number(pickle: &Pickle<'_>, field: &str, id: Id) -> Result<usize, String> {
    match pickle.value(id) {
        Value::Int(number) => {
            usize::try_from(*number).map_err(|_| format!("{field}: expected a number of 0 or more, got {number}"))
        }
        other => Err(format!("{field}: expected an integer, got {}", kind(other))),
    }
}

/// Bytes of the storage that `views` are of.
pub(super) fn storage_bytes(views: &[&StoredTensor]) -> Result<u64, String> {
    let [first, others @ ..] = views else { return Ok(0) };
    if let Some(other) = others.iter().find(|other| (other.dtype, other.elements) != (first.dtype, first.elements)) {
        let (expected, got) = (first.described(), other.described());
        return Err(format!("{}: expected a storage of {expected} as {} has, got {got}", other.name, first.name));
    }
    let bytes = (first.elements as u64).checked_mul(first.dtype.size_in_bytes() as u64);
    bytes.ok_or_else(|| format!("{}: expected a storage in memory, got {}", first.name, first.described()))
}

impl StoredTensor {
    fn described(&self) -> String {
        format!("{} {:?} elements", self.elements, self.dtype)
    }

    /// Refuses elements outside of the storage.
    fn require_within(&self) -> Result<(), String> {
        if self.shape.len() != self.strides.len() {
            let (expected, got) = (self.shape.len(), self.strides.len());
            return Err(format!("stride: expected {expected} dimensions as size has, got {got}"));
        }
        let empty = self.shape.contains(&0);
        let reach = self.shape.iter().zip(&self.strides).try_fold(self.offset, |last, (&size, &stride)| {
            last.checked_add(size.saturating_sub(1).checked_mul(stride)?)
        });
        let count = self.shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
        match (reach, count) {
            (Some(_), Some(_)) if empty => Ok(()),
            (Some(last), Some(_)) if last < self.elements => Ok(()),
            _ => Err(format!(
                "expected a view of a storage of {} elements, got size {:?} with stride {:?} from element {}",
                self.elements, self.shape, self.strides, self.offset
            )),
        }
    }

    /// The tensor's elements as bytes, row by row, from those of its storage.
    pub(super) fn cut(&self, storage: &[u8]) -> Result<Vec<u8>, String> {
        let width = self.dtype.size_in_bytes();
        let count: usize = self.shape.iter().product();
        if count == 0 {
            return Ok(Vec::new());
        }
        let short = || format!("expected a storage of {} bytes, got {}", self.elements * width, storage.len());
        if self.is_contiguous() {
            let range = self.offset * width..(self.offset + count) * width;
            return storage.get(range).map(<[u8]>::to_vec).ok_or_else(short);
        }
        let mut bytes = Vec::with_capacity(count * width);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let steps: usize = index.iter().zip(&self.strides).map(|(index, stride)| index * stride).sum();
            let start = (self.offset + steps) * width;
            bytes.extend_from_slice(storage.get(start..start + width).ok_or_else(short)?);
            for (index, &size) in index.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < size {
                    break;
                }
                *index = 0;
            }
        }
        Ok(bytes)
    }

    /// Whether neighbours in a row lie beside each other, and rows one after the other.
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size <= 1 || stride == expected;
            expected *= size;
            fits
        })
    }
}

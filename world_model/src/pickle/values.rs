//! Values of a pickle, and the names that it may contain.

use std::ops::Range;

use candle_core::DType;

/// Index of a value.
pub(super) type Id = u32;

/// A value on the pickle's stack. Values inside another are referred to by index.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A value that no tensor is described by: none, a fraction.
    Other,
    Bool,
    Int(i64),
    /// Where its bytes are.
    Text(Range<u32>),
    /// Where its values are in the pickle's children.
    Tuple(Range<u32>),
    /// Its number among the pickle's dicts.
    Dict(u32),
    /// Its number among the pickle's lists.
    List(u32),
    Name(Name),
    /// A storage, by its description.
    Storage(Id),
    /// A call, by the tuple of its arguments. It is never made.
    Call(Name, Id),
}

/// The names that a state dict may contain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    RebuildFromType,
    /// A type of storages, by the type of its elements.
    Storage(DType),
    /// A type of tensors.
    TensorType,
}

/// The name that a state dict may contain.
pub(super) fn known_name(module: &str, name: &str) -> Option<Name> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Name::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Name::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Name::RebuildParameter,
        ("torch._tensor", "_rebuild_from_type_v2") => Name::RebuildFromType,
        ("torch", "FloatStorage") => Name::Storage(DType::F32),
        ("torch", "DoubleStorage") => Name::Storage(DType::F64),
        ("torch", "HalfStorage") => Name::Storage(DType::F16),
        ("torch", "BFloat16Storage") => Name::Storage(DType::BF16),
        ("torch", "ByteStorage") => Name::Storage(DType::U8),
        ("torch", "IntStorage") => Name::Storage(DType::I32),
        ("torch", "LongStorage") => Name::Storage(DType::I64),
        ("torch", "Tensor") | ("torch.nn.parameter", "Parameter") => Name::TensorType,
        _ => return None,
    })
}

/// What a value is, for errors.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Other => "another kind of value",
        Value::Bool => "true or false",
        Value::Int(_) => "an integer",
        Value::Text(_) => "a text",
        Value::Tuple(_) => "a tuple",
        Value::Dict(_) => "a dict",
        Value::List(_) => "a list",
        Value::Name(_) => "a name",
        Value::Storage(_) => "a storage",
        Value::Call(..) => "a call",
    }
}

//! Bytes out of values.

use rmpv::Value as Packed;

use super::Value;

/// The bytes of `value`.
pub(super) fn value(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _ = rmpv::encode::write_value(&mut bytes, &packed(value));
    bytes
}

fn packed(value: &Value) -> Packed {
    match value {
        Value::Nil => Packed::Nil,
        Value::Bool(is_true) => Packed::Boolean(*is_true),
        Value::Int(number) => Packed::from(*number),
        Value::Float(number) => Packed::F64(*number),
        Value::Text(text) => Packed::from(text.as_str()),
        Value::Bytes(bytes) => Packed::Binary(bytes.clone()),
        Value::Array(array) => {
            let key = |name: &str| Packed::Binary(name.as_bytes().to_vec());
            let shape = array.shape().iter().map(|side| Packed::from(*side as u64)).collect();
            Packed::Map(vec![
                (key("__ndarray__"), Packed::Boolean(true)),
                (key("data"), Packed::Binary(array.data().to_vec())),
                (key("dtype"), Packed::from(array.dtype().numpy())),
                (key("shape"), Packed::Array(shape)),
            ])
        }
        Value::List(values) => Packed::Array(values.iter().map(packed).collect()),
        Value::Map(map) => {
            Packed::Map(map.iter().map(|(name, value)| (Packed::from(name.as_str()), packed(value))).collect())
        }
    }
}

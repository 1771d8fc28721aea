//! Fields that config files had before: a file that still has one is refused with one line that says what to do
//! instead.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// Names of removed fields, and what to do instead.
pub(crate) type Removed = &'static [(&'static str, &'static str)];

/// Implements `Serialize` and `Deserialize` for a struct that derives both with `#[serde(remote = "Self")]`: as
/// derived, but a removed field is refused with its advice.
macro_rules! removed_fields {
    ($config:ty, $removed:expr) => {
        impl<'de> serde::Deserialize<'de> for $config {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                const REMOVED: $crate::removed_fields::Removed = &$removed;
                Self::deserialize($crate::removed_fields::Refusing { inner: deserializer, removed: REMOVED })
            }
        }

        impl serde::Serialize for $config {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }
    };
}
pub(crate) use removed_fields;

/// A deserializer, visitor, map or key that refuses `removed` names of a struct's fields.
pub(crate) struct Refusing<T> {
    /// What it stands in front of.
    pub inner: T,
    /// The names.
    pub removed: Removed,
}

impl<T> Refusing<T> {
    fn before<U>(&self, inner: U) -> Refusing<U> {
        Refusing { inner, removed: self.removed }
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Refusing<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.before(visitor);
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.before(visitor);
        self.inner.deserialize_struct(name, fields, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Refusing<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let map = self.before(map);
        self.inner.visit_map(map)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Refusing<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let seed = self.before(seed);
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Refusing<K> {
    type Value = K::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K::Value, D::Error> {
        let name: String = serde::Deserialize::deserialize(deserializer)?;
        match self.removed.iter().find(|(removed, _)| *removed == name) {
            Some((_, advice)) => Err(D::Error::custom(format!("{name}: this field was removed: {advice}"))),
            None => self.inner.deserialize(name.into_deserializer()),
        }
    }
}

//! The tensors of a file by their inner names, and whether they are all of a model's and nothing else.

use std::collections::BTreeMap;

use super::names::{Named, Naming};
use crate::parameters::Shapes;

/// Names listed of each kind in an error.
const LISTED: usize = 6;
/// Tables of positions that files of models with rotary positions may still have.
const TABLES: [&str; 2] = ["encoder.pos_embed", "predictor.pos_embed"];

/// The tensors of a file, or of several.
#[derive(Debug, Clone, Default)]
pub(super) struct Inventory {
    /// Stored names of the pieces of each tensor, in order, by its inner name.
    pub pieces: BTreeMap<String, Vec<String>>,
    /// Shapes of the joined tensors, by inner name.
    pub shapes: Shapes,
}

impl Inventory {
    /// Finds what the tensors `stored` are, each a name and a shape.
    ///
    /// # Errors
    /// When two stored tensors are the same one, or the pieces of one do not fit together.
    pub fn of<'a>(stored: impl Iterator<Item = (&'a str, &'a [usize])> + Clone) -> Result<Self, String> {
        let naming = Naming::of(stored.clone().map(|(name, _)| name));
        let mut found: BTreeMap<String, BTreeMap<usize, (&str, &[usize])>> = BTreeMap::new();
        for (name, shape) in stored {
            let Named::Piece(inner, piece) = naming.named(name) else { continue };
            if let Some((other, _)) = found.entry(inner.clone()).or_default().insert(piece, (name, shape)) {
                return Err(format!("{inner}: expected one tensor, got {other} and {name}"));
            }
        }
        let mut inventory = Self::default();
        for (inner, pieces) in found {
            let shape = joined(&pieces).map_err(|reason| format!("{inner}: {reason}"))?;
            inventory.pieces.insert(inner.clone(), pieces.values().map(|(name, _)| (*name).to_owned()).collect());
            inventory.shapes.insert(inner, shape);
        }
        Ok(inventory)
    }

    /// Requires exactly the tensors `expected`; the tables of positions may be there beside rotary ones.
    ///
    /// # Errors
    /// A list of what is missing, of another shape, or left over.
    pub fn require(&self, expected: &Shapes) -> Result<(), String> {
        let missing: Vec<String> = expected.keys().filter(|name| !self.shapes.contains_key(*name)).cloned().collect();
        let reshaped = expected.iter().filter_map(|(name, shape)| {
            let got = self.shapes.get(name)?;
            (!is_same(shape, got)).then(|| format!("{name} expected {shape:?} got {got:?}"))
        });
        let reshaped: Vec<String> = reshaped.collect();
        let left_over = self.shapes.keys().filter(|name| !expected.contains_key(*name));
        let left_over: Vec<String> = left_over
            .filter(|name| !TABLES.contains(&name.as_str()))
            .map(|name| self.pieces.get(name).and_then(|pieces| pieces.first()).unwrap_or(name).clone())
            .collect();
        let listed: Vec<String> = [
            described("missing", &missing),
            described("of another shape", &reshaped),
            described("unexpected", &left_over),
        ]
        .into_iter()
        .flatten()
        .collect();
        if listed.is_empty() {
            return Ok(());
        }
        let (wanted, got) = (expected.len(), self.shapes.len());
        Err(format!("expected the {wanted} tensors that the config describes, got {got}: {}", listed.join("; ")))
    }
}

/// The shape of pieces joined along the first dimension.
fn joined(pieces: &BTreeMap<usize, (&str, &[usize])>) -> Result<Vec<usize>, String> {
    let (Some((_, (name, shape))), Some((last, _))) = (pieces.first_key_value(), pieces.last_key_value()) else {
        return Ok(Vec::new());
    };
    if *last + 1 != pieces.len() {
        return Err(format!("expected pieces 0 to {last}, got {} ({name}, ...)", pieces.len()));
    }
    if pieces.len() == 1 {
        return Ok(shape.to_vec());
    }
    let first = squeezed(shape);
    if let Some((other, got)) = pieces.values().find(|(_, shape)| squeezed(shape) != first) {
        return Err(format!("expected pieces of shape {shape:?} as {name}, got {got:?} of {other}"));
    }
    match first.as_slice() {
        // Vectors, as mask tokens or biases: those of one tensor each are rows where they have further dimensions.
        [width] if shape.len() > 1 => Ok(vec![pieces.len(), *width]),
        [rows, rest @ ..] => {
            let rows = rows.checked_mul(pieces.len()).ok_or("expected pieces that fit in memory, got more")?;
            Ok([&[rows], rest].concat())
        }
        [] => Ok(vec![pieces.len()]),
    }
}

/// A shape without dimensions of 1.
fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|size| *size != 1).collect()
}

/// Whether two shapes are the same but for dimensions of 1, or `got` is a filter of images whose inputs are not
/// flattened.
fn is_same(expected: &[usize], got: &[usize]) -> bool {
    let is_filter = || match (expected, got) {
        ([outputs, inputs], [first, rest @ ..]) if rest.len() >= 3 => {
            let product = rest.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
            outputs == first && product == Some(*inputs)
        }
        _ => false,
    };
    squeezed(expected) == squeezed(got) || is_filter()
}

fn described(kind: &str, names: &[String]) -> Option<String> {
    let more = if names.len() > LISTED { ", ..." } else { "" };
    let first = names.get(..LISTED.min(names.len())).unwrap_or_default().join(", ");
    (!names.is_empty()).then(|| format!("{} {kind} ({first}{more})", names.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(stored: &[(&str, &[usize])]) -> Result<Inventory, String> {
        Inventory::of(stored.iter().copied())
    }

    #[test]
    fn pieces_are_joined_in_their_order() {
        let all: [(&str, &[usize]); 5] = [
            ("encoder.layer.0.attention.value.weight", &[4, 4]),
            ("encoder.layer.0.attention.query.weight", &[4, 4]),
            ("encoder.layer.0.attention.key.weight", &[4, 4]),
            ("predictor.mask_tokens.0", &[1, 1, 6]),
            ("predictor.mask_tokens.1", &[1, 1, 6]),
        ];
        let found = inventory(&all).unwrap();
        assert_eq!(found.shapes["encoder.blocks.0.attn.qkv.weight"], [12, 4]);
        assert!(found.pieces["encoder.blocks.0.attn.qkv.weight"][1].ends_with("key.weight"));
        assert_eq!(found.shapes["predictor.mask_tokens"], [2, 6]);
        let without_query = inventory(&[all[0], all[2], all[3], all[4]]).unwrap_err();
        assert!(
            without_query.contains("encoder.blocks.0.attn.qkv.weight: expected pieces 0 to 2, got 2"),
            "{without_query}"
        );
        // The last piece is missed by the shape.
        assert_eq!(inventory(&all[1..]).unwrap().shapes["encoder.blocks.0.attn.qkv.weight"], [8, 4]);
    }

    #[test]
    fn what_is_missing_left_over_or_of_another_shape_is_listed() {
        let all: [(&str, &[usize]); 3] =
            [("norm.weight", &[4]), ("extra.weight", &[2]), ("patch_embed.proj.weight", &[4, 3, 2, 2])];
        let expected = Shapes::from([
            ("encoder.norm.weight".into(), vec![5]),
            ("encoder.norm.bias".into(), vec![5]),
            ("encoder.patch_embed.proj.weight".into(), vec![4, 12]),
        ]);
        let error = inventory(&all).unwrap().require(&expected).unwrap_err();
        for part in [
            "1 missing (encoder.norm.bias)",
            "1 of another shape (encoder.norm.weight expected [5] got [4])",
            "1 unexpected (extra.weight)",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
}

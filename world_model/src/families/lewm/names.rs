//! The names of a LeWM's tensors: as published, and as other versions of the libraries and other wrappers write them.

use std::collections::BTreeMap;

use crate::parameters::Shapes;
use crate::{Error, Result};

/// Names that wrappers put before or between those of the networks: Lightning, data parallel training (two kinds), and
/// compiled modules.
const WRAPPERS: [&str; 5] = ["model", "module", "_fsdp_wrapped_module", "_forward_module", "_orig_mod"];
/// Parts of an encoder's layer, as transformers 5 and 4 call them.
const LAYER_PARTS: [(&str, &str); 6] = [
    ("attention.q_proj", "attention.attention.query"),
    ("attention.k_proj", "attention.attention.key"),
    ("attention.v_proj", "attention.attention.value"),
    ("attention.o_proj", "attention.output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
];
/// Tensors beside the networks' weights: constants of the training loss, and parts of the library's encoder that a LeWM
/// does not use.
const UNUSED: [&str; 3] = ["sigreg.", "encoder.pooler.", "encoder.embeddings.mask_token"];
/// Names listed of each kind in an error.
const LISTED: usize = 4;

/// The published name of the tensor `name`; none of tensors that no network uses, which are accounted for that way.
pub(super) fn published(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
    let plain = parts.join(".");
    if UNUSED.iter().any(|unused| plain.starts_with(unused)) || parts.last() == Some(&"num_batches_tracked") {
        return None; // the last: a counter that PyTorch's batch norms store
    }
    let (number, rest) = match parts.as_slice() {
        ["encoder", "encoder", "layer" | "layers", number, rest @ ..] => (number, rest),
        ["encoder", "layer" | "layers", number, rest @ ..] => (number, rest),
        _ => return Some(plain),
    };
    let rest = rest.join(".");
    let renamed = LAYER_PARTS.iter().find_map(|(new, old)| {
        let end = rest.strip_prefix(new)?;
        end.starts_with('.').then(|| format!("{old}{end}"))
    });
    Some(format!("encoder.encoder.layer.{number}.{}", renamed.unwrap_or(rest)))
}

/// The published name of every tensor in `stored` that a network uses, by the name it is stored under.
///
/// # Errors
/// [`Error::Shape`] when weights are missing, of another shape, left over or there twice: with what the file has, and
/// what was expected.
pub(super) fn account<'a>(
    expected: &Shapes,
    stored: impl IntoIterator<Item = (&'a str, &'a [usize])>,
) -> Result<BTreeMap<String, String>> {
    let refused = |expected: String, got: String| Error::Shape { operation: "loading weights", expected, got };
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut found: BTreeMap<String, (&str, &[usize])> = BTreeMap::new();
    for (name, shape) in stored {
        let Some(published) = published(name) else { continue };
        if let Some((other, _)) = found.get(&published) {
            return Err(refused(format!("one tensor {published}"), format!("{other} and {name}")));
        }
        names.insert(name.to_owned(), published.clone());
        found.insert(published, (name, shape));
    }
    let missing: Vec<&str> = expected.keys().filter(|name| !found.contains_key(*name)).map(String::as_str).collect();
    let differs = |(name, shape): &(&String, &Vec<usize>)| found.get(*name).is_some_and(|(_, got)| *got != **shape);
    let reshaped: Vec<(&String, &Vec<usize>)> = expected.iter().filter(differs).collect();
    let left_over = found.iter().filter(|(name, _)| !expected.contains_key(*name)).map(|(_, (stored, _))| *stored);
    let left_over: Vec<&str> = left_over.collect();
    let listed = [
        described("missing", &missing),
        described("of another shape", &reshaped.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>()),
        described("left over", &left_over),
    ];
    let listed: Vec<String> = listed.into_iter().flatten().collect();
    let all = format!("of {} tensors there and {} in the config: {}", found.len(), expected.len(), listed.join(", "));
    match (missing.first(), reshaped.first(), left_over.first()) {
        (Some(name), ..) => Err(refused(format!("a weight {name}"), format!("none; {all}"))),
        (None, Some((name, shape)), _) => {
            let got = found.get(*name).map(|(_, shape)| *shape).unwrap_or_default();
            Err(refused(format!("{name} of shape {shape:?}"), format!("{got:?}; {all}")))
        }
        (None, None, Some(name)) => Err(refused("only weights of this model".into(), format!("also {name}; {all}"))),
        (None, None, None) => Ok(names),
    }
}

fn described(kind: &str, names: &[&str]) -> Option<String> {
    let more = if names.len() > LISTED { ", ..." } else { "" };
    let first = names.get(..LISTED.min(names.len())).unwrap_or_default().join(", ");
    (!names.is_empty()).then(|| format!("{} {kind} ({first}{more})", names.len()))
}

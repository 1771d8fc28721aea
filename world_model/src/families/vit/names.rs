//! The names of tensors: one set inside, near to the authors', and those of Hugging Face's library, of several versions
//! and of wrappers.
//!
//! Inside: `encoder.`, `predictor.`, `pooler.` and `classifier.`; `blocks.N.attn.qkv` has queries, keys and values one
//! after the other, `mask_tokens` all mask tokens. A tensor that is stored in pieces is joined along its first
//! dimension.

use crate::tensor_files::ENCODERS;

/// Names that wrappers put before or between others: data parallel training, compiled modules, several masks.
const WRAPPERS: [&str; 6] =
    ["module", "backbone", "_orig_mod", "_fsdp_wrapped_module", "_forward_module", "_checkpoint_wrapped_module"];
/// Names that Hugging Face's library puts before a model that has a head.
const MODELS: [&str; 4] = ["vjepa2", "dinov2", "dinov2_with_registers", "ijepa"];
/// Norms of a block, wherever it is.
const NORMS: [(&str, &str); 6] = [
    ("norm1", "norm1"),
    ("norm2", "norm2"),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
    ("layer_norm1", "norm1"),
    ("layer_norm2", "norm2"),
];
/// Parts of a block by their stored names: the inner name, and which piece of it.
const BLOCK: [(&str, &str, usize); 31] = [
    ("attn.qkv", "attn.qkv", 0),
    ("attention.query", "attn.qkv", 0),
    ("attention.key", "attn.qkv", 1),
    ("attention.value", "attn.qkv", 2),
    ("attention.attention.query", "attn.qkv", 0),
    ("attention.attention.key", "attn.qkv", 1),
    ("attention.attention.value", "attn.qkv", 2),
    ("attention.q_proj", "attn.qkv", 0),
    ("attention.k_proj", "attn.qkv", 1),
    ("attention.v_proj", "attn.qkv", 2),
    ("self_attn.q_proj", "attn.qkv", 0),
    ("self_attn.k_proj", "attn.qkv", 1),
    ("self_attn.v_proj", "attn.qkv", 2),
    ("attn.proj", "attn.proj", 0),
    ("attention.proj", "attn.proj", 0),
    ("attention.output.dense", "attn.proj", 0),
    ("attention.o_proj", "attn.proj", 0),
    ("self_attn.out_proj", "attn.proj", 0),
    ("mlp.fc1", "mlp.fc1", 0),
    ("mlp.fc2", "mlp.fc2", 0),
    ("intermediate.dense", "mlp.fc1", 0),
    ("output.dense", "mlp.fc2", 0),
    ("mlp.weights_in", "mlp.w12", 0),
    ("mlp.w12", "mlp.w12", 0),
    ("mlp.weights_out", "mlp.w3", 0),
    ("mlp.w3", "mlp.w3", 0),
    ("mlp.fc3", "mlp.w3", 0),
    ("layer_scale1.lambda1", "ls1", 0),
    ("layer_scale2.lambda1", "ls2", 0),
    ("ls1.gamma", "ls1", 0),
    ("ls2.gamma", "ls2", 0),
];
/// Parts of an encoder beside its blocks.
const ENCODER: [(&str, &str); 11] = [
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("embeddings.patch_embeddings.proj", "patch_embed.proj"),
    ("patch_embed_img.proj", "patch_embed_img.proj"),
    ("patch_embed.proj", "patch_embed.proj"),
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.register_tokens", "register_tokens"),
    ("embeddings.mask_token", "mask_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("layernorm", "norm"),
    ("norms_block", "norms_block"),
    ("norm", "norm"),
];
/// Parts of a predictor beside its blocks.
const PREDICTOR: [(&str, &str); 12] = [
    ("embeddings.predictor_embeddings", "embed"),
    ("predictor_embed", "embed"),
    ("embeddings.mask_tokens", "mask_tokens"),
    ("mask_token", "mask_tokens"),
    ("predictor_pos_embed", "pos_embed"),
    ("layernorm", "norm"),
    ("predictor_norm", "norm"),
    ("norm", "norm"),
    ("predictor_proj_context", "proj_context"),
    ("proj_context", "proj_context"),
    ("predictor_proj", "proj"),
    ("proj", "proj"),
];
/// Parts of the cross-attention of a classifier: the inner name, and which piece of it.
const CROSS: [(&str, &str, usize); 9] = [
    ("cross_attn.q_proj", "q", 0),
    ("cross_attn.k_proj", "kv", 0),
    ("cross_attn.v_proj", "kv", 1),
    ("xattn.q", "q", 0),
    ("xattn.kv", "kv", 0),
    ("mlp.fc1", "mlp.fc1", 0),
    ("mlp.fc2", "mlp.fc2", 0),
    ("layer_norm1", "norm1", 0),
    ("layer_norm2", "norm2", 0),
];

/// What a stored tensor is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Named {
    /// Piece `1` of the tensor with the inner name `0`.
    Piece(String, usize),
    /// Nothing that inference uses: another copy of the encoder, an optimiser's state, further classifiers.
    Unused,
}

/// What the names of a file have in common, which decides what a name without a prefix belongs to.
#[derive(Debug, Clone, Default)]
pub(super) struct Naming {
    /// The part that is taken for the encoder, of those of a training's checkpoint.
    encoder: Option<&'static str>,
    /// Whether names without a prefix may be those of a predictor.
    bare_predictor: bool,
    /// Parts (prefixes of blocks) whose perceptron has three maps: `fc1` and `fc2` are then the gate and the value.
    gated: bool,
}

impl Naming {
    /// What `names` have in common.
    pub fn of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let is_prefix = |part: &&str| is_wrapper(part) || MODELS.contains(part);
        let tops: Vec<&str> = names.clone().filter_map(|name| name.split('.').find(|part| !is_prefix(part))).collect();
        let encoder = ENCODERS.into_iter().find(|encoder| tops.contains(encoder));
        let bare_predictor = tops.iter().any(|top| top.starts_with("predictor_"));
        Self { encoder, bare_predictor, gated: names.clone().any(|name| name.contains(".mlp.fc3.")) }
    }

    /// What the tensor stored as `name` is.
    pub fn named(&self, name: &str) -> Named {
        let parts: Vec<&str> = name.split('.').filter(|part| !is_wrapper(part)).collect();
        let parts = match parts.as_slice() {
            [first, rest @ ..] if MODELS.contains(first) => rest,
            all => all,
        };
        let of_encoder = |rest: &[&str]| self.encoder_part(rest);
        match parts {
            ["opt" | "optimizer" | "scaler" | "scheduler", ..] => Named::Unused,
            ["classifiers", number, rest @ ..] if *number == "0" => self.head_part(rest),
            ["classifiers", ..] => Named::Unused,
            [part, rest @ ..] if ENCODERS.contains(part) => match self.encoder == Some(*part) {
                true => of_encoder(rest),
                false => Named::Unused,
            },
            ["pooler", "dense", ..] => Named::Unused, // of BERT's kind: no output of an encoder
            ["pooler" | "classifier" | "linear", ..] => self.head_part(parts),
            ["predictor", rest @ ..] => self.predictor_part(rest),
            [first, ..] if is_of_predictor(first) || *first == "mask_token" && self.bare_predictor => {
                self.predictor_part(parts)
            }
            all => of_encoder(all),
        }
    }

    fn encoder_part(&self, parts: &[&str]) -> Named {
        match parts {
            ["layer" | "layers" | "blocks", number, rest @ ..] => self.block("encoder", number, rest),
            ["encoder", rest @ ..] => self.encoder_part(rest),
            _ => Named::Piece(format!("encoder.{}", renamed(&parts.join("."), &ENCODER)), 0),
        }
    }

    fn predictor_part(&self, parts: &[&str]) -> Named {
        match parts {
            ["layer" | "layers" | "blocks" | "predictor_blocks", number, rest @ ..] => {
                self.block("predictor", number, rest)
            }
            ["mask_tokens", number] => match number.parse() {
                Ok(number) => Named::Piece("predictor.mask_tokens".into(), number),
                Err(_) => Named::Piece(format!("predictor.mask_tokens.{number}"), 0),
            },
            _ => Named::Piece(format!("predictor.{}", renamed(&parts.join("."), &PREDICTOR)), 0),
        }
    }

    fn head_part(&self, parts: &[&str]) -> Named {
        let whole = |name: String| Named::Piece(name, 0);
        match parts {
            // V-JEPA's classifiers are stored as a whole under this key.
            ["classifier", rest @ ..] if matches!(rest.first(), Some(&"pooler" | &"linear")) => self.head_part(rest),
            ["classifier" | "linear", rest @ ..] => whole(format!("classifier.{}", rest.join("."))),
            ["pooler", "cross_attention_layer" | "cross_attention_block", rest @ ..] => {
                let rest = rest.join(".");
                let known = CROSS.iter().find_map(|(stored, inner, piece)| Some((after(&rest, stored)?, inner, piece)));
                match known {
                    Some((end, inner, piece)) => Named::Piece(format!("pooler.cross.{inner}{end}"), *piece),
                    None => whole(format!("pooler.cross.{rest}")),
                }
            }
            ["pooler", "self_attention_layers" | "blocks", number, rest @ ..] => self.block("pooler", number, rest),
            _ => whole(parts.join(".")),
        }
    }

    /// Block `number` of `part`; some files have chunks of blocks, with the block's own number after that of its chunk.
    fn block(&self, part: &str, number: &str, rest: &[&str]) -> Named {
        let (number, rest) = match rest {
            [own, deeper @ ..] if own.bytes().all(|byte| byte.is_ascii_digit()) => (*own, deeper),
            _ => (number, rest),
        };
        let rest = rest.join(".");
        let named = |end: &str, inner: &str, piece| Named::Piece(format!("{part}.blocks.{number}.{inner}{end}"), piece);
        if let Some((end, inner)) = NORMS.iter().find_map(|(stored, inner)| Some((after(&rest, stored)?, inner))) {
            return named(end, inner, 0);
        }
        let gate = [("mlp.fc1", 0), ("mlp.fc2", 1)];
        let gate = gate.iter().find_map(|(stored, piece)| Some((after(&rest, stored)?, *piece)));
        if let Some((end, piece)) = gate.filter(|_| self.gated) {
            return named(end, "mlp.w12", piece);
        }
        let known = BLOCK.iter().find_map(|(stored, inner, piece)| Some((after(&rest, stored)?, inner, *piece)));
        match known {
            Some((end, inner, piece)) => named(end, inner, piece),
            None => named("", &rest, 0),
        }
    }
}

fn is_wrapper(part: &str) -> bool {
    WRAPPERS.contains(&part)
}

fn is_of_predictor(first: &str) -> bool {
    first.starts_with("predictor_")
        || ["mask_tokens", "action_encoder", "state_encoder", "extrinsics_encoder"].contains(&first)
}

/// What follows `stored` in `name`: nothing, or the rest with its dot.
fn after<'a>(name: &'a str, stored: &str) -> Option<&'a str> {
    name.strip_prefix(stored).filter(|end| end.is_empty() || end.starts_with('.'))
}

fn renamed(name: &str, table: &[(&str, &str)]) -> String {
    let found = table.iter().find_map(|(stored, inner)| Some((after(name, stored)?, inner)));
    found.map_or_else(|| name.to_owned(), |(end, inner)| format!("{inner}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(all: &[&str], name: &str) -> (String, usize) {
        match Naming::of(all.iter().copied()).named(name) {
            Named::Piece(name, piece) => (name, piece),
            Named::Unused => ("unused".into(), 0),
        }
    }

    #[test]
    fn hugging_face_and_original_names_are_the_same_tensors() {
        let cases = [
            ("encoder.layer.3.attention.key.weight", "encoder.blocks.3.attn.qkv.weight", 1),
            ("vjepa2.encoder.layer.3.attention.proj.bias", "encoder.blocks.3.attn.proj.bias", 0),
            ("encoder.layer.0.attention.attention.value.weight", "encoder.blocks.0.attn.qkv.weight", 2),
            ("encoder.layer.0.attention.output.dense.weight", "encoder.blocks.0.attn.proj.weight", 0),
            ("encoder.layer.0.output.dense.weight", "encoder.blocks.0.mlp.fc2.weight", 0),
            ("encoder.layer.0.layernorm_before.bias", "encoder.blocks.0.norm1.bias", 0),
            ("encoder.layer.0.layer_scale1.lambda1", "encoder.blocks.0.ls1", 0),
            ("embeddings.position_embeddings", "encoder.pos_embed", 0),
            ("layernorm.weight", "encoder.norm.weight", 0),
            ("module.backbone.blocks.1.attn.qkv.bias", "encoder.blocks.1.attn.qkv.bias", 0),
            ("blocks.0.7.ls2.gamma", "encoder.blocks.7.ls2", 0),
            ("predictor.embeddings.mask_tokens", "predictor.mask_tokens", 0),
            ("predictor.module.backbone.mask_tokens.4", "predictor.mask_tokens", 4),
            ("predictor_blocks.2.mlp.fc1.weight", "predictor.blocks.2.mlp.fc1.weight", 0),
            ("predictor.predictor_embed.2.bias", "predictor.embed.2.bias", 0),
            ("action_encoder.weight", "predictor.action_encoder.weight", 0),
            ("pooler.cross_attention_layer.cross_attn.v_proj.bias", "pooler.cross.kv.bias", 1),
            ("classifiers.0.module.pooler.cross_attention_block.xattn.kv.bias", "pooler.cross.kv.bias", 0),
            ("classifiers.0.module.linear.weight", "classifier.weight", 0),
            ("classifier.module.linear.bias", "classifier.bias", 0),
            ("classifier.module.pooler.query_tokens", "pooler.query_tokens", 0),
            ("pooler.self_attention_layers.1.self_attn.out_proj.bias", "pooler.blocks.1.attn.proj.bias", 0),
            ("vjepa2.predictor.layernorm.bias", "predictor.norm.bias", 0),
        ];
        for (stored, expected, piece) in cases {
            assert_eq!(inner(&[stored], stored), (expected.to_owned(), piece), "{stored}");
        }
    }

    #[test]
    fn a_trainings_checkpoint_gives_its_target_and_leaves_the_rest() {
        let all = ["encoder.module.norm.weight", "target_encoder.module.norm.weight", "opt.state.exp_avg"];
        assert_eq!(inner(&all, all[0]).0, "unused");
        assert_eq!(inner(&all, all[1]).0, "encoder.norm.weight");
        assert_eq!(inner(&all, all[2]).0, "unused");
        assert_eq!(inner(&all[..1], all[0]).0, "encoder.norm.weight");
    }

    #[test]
    fn a_mask_token_without_a_prefix_is_the_predictors_beside_one() {
        assert_eq!(inner(&["predictor_norm.bias", "mask_token"], "mask_token").0, "predictor.mask_tokens");
        assert_eq!(inner(&["norm.bias", "mask_token"], "mask_token").0, "encoder.mask_token");
    }

    #[test]
    fn three_maps_of_a_perceptron_are_a_gated_one() {
        let all = ["blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc2.weight", "blocks.0.mlp.fc3.weight"];
        assert_eq!(inner(&all, all[1]), ("encoder.blocks.0.mlp.w12.weight".into(), 1));
        assert_eq!(inner(&all, all[2]), ("encoder.blocks.0.mlp.w3.weight".into(), 0));
    }
}

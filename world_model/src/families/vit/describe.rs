//! What a folder holds: sizes are measured in the weights, compared with the config where it has them, and taken from
//! it where weights cannot tell (heads, sizes of images, epsilons).

use super::config::{EncoderConfig, Norms, Positions, VitConfig, VitKind};
use super::describe_heads::{action_predictor, classifier, predictor};
use super::fields::Fields;
use super::measured::{EPSILON, Source};
use super::sincos::SinCos;
use crate::parameters::Shapes;

/// Names of a width.
const WIDTH: [&str; 5] = ["hidden_size", "embed_dim", "enc_dim", "encoder_dim", "width"];
/// Names of a number of blocks.
const LAYERS: [&str; 6] = ["num_hidden_layers", "depth", "enc_depth", "encoder_depth", "num_layers", "layers"];
/// Names of a number of heads.
const HEADS: [&str; 5] = ["num_attention_heads", "num_heads", "heads", "enc_heads", "encoder_heads"];
/// Names of the size of an image.
const IMAGE: [&str; 5] = ["crop_size", "image_size", "img_size", "resolution", "input_size"];
/// Names of the number of frames of a clip.
const FRAMES: [&str; 4] = ["frames_per_clip", "num_frames", "max_num_frames", "frames"];
/// Describes the model whose weights have `shapes`. `kind` and `clip` (frames, height and width of its clips) come from
/// whoever asks; `clip` counts where the config does not say and a table of positions has as many patches.
///
/// # Errors
/// When config and weights disagree: both are named.
pub(super) fn describe(
    fields: &Fields,
    shapes: &Shapes,
    kind: Option<VitKind>,
    clip: Option<[usize; 3]>,
) -> Result<VitConfig, String> {
    let named = match kind {
        Some(kind) => Some(("--family".to_owned(), kind)),
        None => named_kind(fields)?,
    };
    let kind = match named {
        Some((name, kind)) => require_kind(&name, kind, shapes)?,
        None => kind_of(fields, shapes)?,
    };
    let source = Source { fields, shapes, kind, clip };
    let has = |start: &str| shapes.keys().any(|name| name.starts_with(start));
    let encoder = has("encoder.blocks.").then(|| encoder(&source)).transpose()?;
    let is_of_actions = has("predictor.action_encoder.");
    let is_predictor = has("predictor.blocks.") && !is_of_actions;
    let predictor = is_predictor.then(|| predictor(&source, encoder.as_ref())).transpose()?;
    let actions = is_of_actions.then(|| action_predictor(&source, encoder.as_ref())).transpose()?;
    let classifier = has("pooler.").then(|| classifier(&source, encoder.as_ref())).transpose()?;
    if encoder.is_none() && predictor.is_none() && actions.is_none() && classifier.is_none() {
        return Err("expected the weights of a vision transformer, got none".into());
    }
    Ok(VitConfig { kind, encoder, predictor, actions, classifier })
}

/// Whose recipe it is as the config says, and the field that says so.
fn named_kind(fields: &Fields) -> Result<Option<(String, VitKind)>, String> {
    if let Some((name, value)) = fields.value("", &["model_type"]).filter(|(_, value)| !value.is_string()) {
        return Err(format!("{name}: expected a text, got {value}"));
    }
    let Some((name, text)) = fields.text("", &["model_type", "family", "kind", "format", "recipe"]) else {
        return Ok(None);
    };
    let plain: String = text.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let kind = match plain.as_str() {
        word if word.contains("ijepa") => VitKind::Ijepa,
        word if word.contains("vjepa21") => VitKind::Vjepa21,
        word if word.contains("vjepa2") => VitKind::Vjepa2,
        word if word.contains("vjepa") => VitKind::Vjepa,
        word if word.contains("dinov2") => VitKind::Dinov2,
        _ => {
            let names: Vec<&str> = VitKind::ALL.iter().map(|kind| kind.name()).collect();
            return Err(format!("{name}: expected one of {}, got {text:?}", names.join(", ")));
        }
    };
    Ok(Some((name, kind)))
}

/// The `kind` that the field `name` says, if the encoder's weights can be of it: what only one recipe has is there, or
/// not.
fn require_kind(name: &str, kind: VitKind, shapes: &Shapes) -> Result<VitKind, String> {
    let has = |name: &str| shapes.contains_key(name);
    let Some(filter) = shapes.get("encoder.patch_embed.proj.weight") else { return Ok(kind) };
    let has_levels = ["encoder.norms_block.0.weight", "encoder.patch_embed_img.proj.weight"].into_iter().any(has);
    let expected = match kind {
        VitKind::Dinov2 if !has("encoder.cls_token") => "another family as the weights have no class token",
        VitKind::Dinov2 => return Ok(kind),
        _ if has("encoder.cls_token") => "dinov2 as the weights have a class token",
        VitKind::Vjepa21 => return Ok(kind),
        _ if has_levels => "vjepa2_1 as the weights have levels, or patches of images",
        VitKind::Vjepa2 if filter.len() < 5 => "a family of images as the weights have patches of one frame",
        _ => return Ok(kind),
    };
    Err(format!("{name}: expected {expected}, got {kind}"))
}

/// Whose recipe it is as the names of the tensors say.
fn kind_of(fields: &Fields, shapes: &Shapes) -> Result<VitKind, String> {
    let has = |name: &str| shapes.contains_key(name);
    let is_clip = shapes.get("encoder.patch_embed.proj.weight").is_some_and(|shape| shape.len() == 5);
    let rotary = fields.flag("", &["use_rope", "rope"])?;
    Ok(if has("encoder.norms_block.0.weight") || has("encoder.patch_embed_img.proj.weight") {
        VitKind::Vjepa21
    } else if has("encoder.cls_token") || has("encoder.blocks.0.ls1") {
        VitKind::Dinov2
    } else if has("encoder.patch_embed.proj.weight") && !is_clip {
        VitKind::Ijepa
    } else if rotary == Some(true) || has("predictor.action_encoder.weight") {
        VitKind::Vjepa2
    } else {
        // Files of V-JEPA 2 may have tables of positions, too. V-JEPA's predictor has two mask tokens, theirs ten.
        let tokens = shapes.get("predictor.mask_tokens").and_then(|shape| shape.first());
        let has_few = tokens.is_none_or(|tokens| *tokens <= 2);
        let has_table = match tokens {
            Some(_) => has("predictor.pos_embed"),
            None => has("encoder.pos_embed"),
        };
        // Computed tables are not stored; a config that says how they are made has no rotary positions.
        let computes = rotary.is_none() && fields.flag("", &["uniform_power"])?.is_some();
        let is_first = rotary == Some(false) || has_few && (computes || has_table);
        if is_first { VitKind::Vjepa } else { VitKind::Vjepa2 }
    })
}

/// Heads of encoders of known widths, where no config says.
fn usual_heads(kind: VitKind, width: usize) -> Option<usize> {
    Some(match (width, kind) {
        (192, _) => 3,
        (384, _) => 6,
        (768, _) => 12,
        (1024 | 1280, _) => 16,
        (1408, VitKind::Ijepa | VitKind::Vjepa) => 16,
        (1408, _) => 22,
        (1536, VitKind::Dinov2) => 24,
        (1664, _) => 26,
        _ => return None,
    })
}

fn encoder(source: &Source<'_>) -> Result<EncoderConfig, String> {
    let (fields, kind) = (source.fields, source.kind);
    let weight = "encoder.patch_embed.proj.weight";
    let (width, channels, tubelet, patch) = match source.shape(weight, 4)? {
        [width, channels, patch, other] if patch == other => (*width, *channels, 1, *patch),
        [width, channels, tubelet, patch, other] if patch == other => (*width, *channels, *tubelet, *patch),
        shape => {
            return Err(format!("{weight}: expected [D, C, side, side] or [D, C, frames, side, side], got {shape:?}"));
        }
    };
    if [width, channels, tubelet, patch].contains(&0) {
        return Err(format!("{weight}: expected sizes of 1 or more, got {:?}", source.shape(weight, 4)?));
    }
    if tubelet > 1 && !kind.takes_clips() {
        return Err(format!("{weight}: expected a filter of images for {kind}, got one of {tubelet} frames"));
    }
    let part = "encoder";
    fields.agreed(part, &WIDTH, width, "rows of the patch embedding")?;
    fields.agreed(part, &["patch_size", "patch"], patch, "side of the patch embedding")?;
    fields.agreed(part, &["in_chans", "num_channels", "channels"], channels, "channels of the patch embedding")?;
    if kind.takes_clips() {
        fields.agreed(part, &["tubelet_size", "tubelet"], tubelet, "frames of the patch embedding")?;
    }
    let layers = source.layers("encoder.");
    fields.agreed(part, &LAYERS, layers, "blocks of the encoder")?;
    let heads = fields.count(part, &HEADS)?.map(|(_, heads)| heads).or_else(|| usual_heads(kind, width));
    let Some(heads) = heads else {
        return Err(format!("num_attention_heads: expected it for an encoder of width {width}, got none"));
    };
    let epsilon =
        fields.number(part, &["layer_norm_eps", "eps", "norm_eps"])?.map_or(EPSILON, |(_, value)| value as f32);
    let mut blocks = source.blocks("encoder.", width, heads, epsilon)?;
    source.agree_on_ratio(part, &["mlp_ratio"], &blocks)?;
    fields.agreed(part, &["intermediate_size"], blocks.hidden, "hidden width of the encoder")?;
    let measured = [("use_swiglu_ffn", blocks.gated), ("qkv_bias", blocks.qkv_bias)];
    for (name, measured) in measured {
        if let Some(got) = fields.flag(part, &[name])?.filter(|got| *got != measured) {
            return Err(format!("{name}: expected {measured} as the weights have (blocks of the encoder), got {got}"));
        }
    }
    if let Some((name, act)) = fields.text(part, &["hidden_act"]).filter(|(_, act)| *act != "gelu") {
        return Err(format!("{name}: expected gelu, got {act:?}"));
    }
    blocks.rotary = source.rotary(part, patch)?;
    let class_token = source.shapes.contains_key("encoder.cls_token");
    let registers = match source.shapes.get("encoder.register_tokens") {
        None => 0,
        Some(shape) => shape.iter().product::<usize>() / width.max(1),
    };
    if let Some((name, number)) = fields.count(part, &["num_register_tokens"])?.filter(|(_, got)| *got != registers) {
        return Err(format!("{name}: expected {registers} as the weights have, got {number}"));
    }
    let rows = source.shapes.get("encoder.pos_embed").map(|shape| shape.iter().product::<usize>() / width.max(1));
    let rows = rows.map(|rows| rows.saturating_sub(usize::from(class_token)));
    let is_added = blocks.rotary.is_none();
    let frames = fields.count(part, &FRAMES)?.map(|(_, frames)| frames);
    let image = image_size(fields, part, patch)?;
    let (frames, image) = extent(source, rows.filter(|_| is_added), frames, image, (tubelet, patch))?;
    let positions = match (rows, kind) {
        _ if !is_added => Positions::None,
        (Some(_), _) => Positions::Stored { antialias: kind == VitKind::Dinov2 && registers > 0 },
        (None, VitKind::Vjepa) => {
            let uniform = fields.flag(part, &["uniform_power"])?.unwrap_or(true);
            Positions::Computed(match (frames > 1, uniform) {
                (true, true) => SinCos::Uniform,
                (true, false) => SinCos::Split,
                (false, _) => SinCos::RowFirst,
            })
        }
        (None, VitKind::Ijepa) => Positions::Computed(SinCos::ColumnFirst),
        (None, _) => return Err("expected a table of positions, got none".into()),
    };
    let norms = levels(source, layers)?;
    Ok(EncoderConfig {
        blocks,
        channels,
        patch,
        tubelet,
        frames,
        image,
        positions,
        class_token,
        registers,
        mask_token: source.shapes.contains_key("encoder.mask_token"),
        image_patches: source.shapes.contains_key("encoder.patch_embed_img.proj.weight"),
        modality: source.shapes.contains_key("encoder.video_mod_embed"),
        norms,
    })
}

fn image_size(fields: &Fields, part: &str, patch: usize) -> Result<Option<[usize; 2]>, String> {
    if let Some([height, width]) = fields.numbers(part, &IMAGE).as_deref() {
        return Ok(Some([*height, *width]));
    }
    if let Some((_, side)) = fields.count(part, &IMAGE)? {
        return Ok(Some([side, side]));
    }
    let grid = fields.numbers(part, &["grid", "grid_size"]);
    let side = if grid.is_none() { fields.count(part, &["grid", "grid_size"])?.map(|(_, side)| side) } else { None };
    let pixels = |side: usize| side.saturating_mul(patch);
    Ok(match grid.as_deref() {
        Some([.., rows, columns]) => Some([pixels(*rows), pixels(*columns)]),
        _ => side.map(|side| [pixels(side); 2]),
    })
}

/// Frames and image size: those of the config, where it has them; else what a table of `rows` positions belongs to, or
/// what the recipe trains on.
fn extent(
    source: &Source<'_>,
    rows: Option<usize>,
    frames: Option<usize>,
    image: Option<[usize; 2]>,
    (tubelet, patch): (usize, usize),
) -> Result<(usize, [usize; 2]), String> {
    let clips = source.kind.takes_clips();
    let frames = frames.filter(|_| clips).or_else(|| (!clips).then_some(1));
    let usual_side = match source.kind {
        VitKind::Vjepa2 => 256,
        VitKind::Vjepa21 => 384,
        _ => 224,
    };
    let Some(rows) = rows else {
        return Ok((frames.unwrap_or(16).max(tubelet), image.unwrap_or([usual_side; 2])));
    };
    let of = |frames: usize, [height, width]: [usize; 2]| {
        (frames / tubelet).saturating_mul(height / patch).saturating_mul(width / patch)
    };
    let square = |rows: usize| rows.isqrt() * rows.isqrt() == rows && rows > 0;
    let known = source.clip.filter(|[frames, height, width]| of(*frames, [*height, *width]) == rows);
    let (frames, image) = match (frames, image, known) {
        (None, None, Some([frames, height, width])) => (Some(frames), Some([height, width])),
        _ => (frames, image),
    };
    let found = match (frames, image) {
        (Some(frames), Some(image)) => (frames, image),
        (Some(frames), None) if square(rows / (frames / tubelet).max(1)) => {
            let side = (rows / (frames / tubelet).max(1)).isqrt() * patch;
            (frames, [side, side])
        }
        (None, Some(image)) => (rows / of(tubelet, image).max(1) * tubelet, image),
        (None, None) if square(rows / (16 / tubelet).max(1)) => {
            let side = (rows / (16 / tubelet).max(1)).isqrt() * patch;
            (16, [side, side])
        }
        _ => (0, [0, 0]),
    };
    if of(found.0, found.1) == rows {
        return Ok(found);
    }
    let ((frames, [height, width]), got) = (found, of(found.0, found.1));
    let size = format!("{frames} frames of {height}x{width} pixels");
    Err(format!("image_size, frames: expected {rows} patches as the table of positions has, got {got} of {size}"))
}

/// The norms behind the blocks, and after which blocks they stand.
fn levels(source: &Source<'_>, layers: usize) -> Result<Norms, String> {
    let numbers = (0..).take_while(|level| source.shapes.contains_key(&format!("encoder.norms_block.{level}.weight")));
    let count = numbers.count();
    if count == 0 {
        return Ok(Norms::Last);
    }
    if let Some(named) = source.fields.numbers("encoder", &["hierarchical_layers", "out_layers", "levels"]) {
        return match named.len() == count && named.iter().all(|layer| *layer < layers) {
            true => Ok(Norms::Levels(named)),
            false => Err(format!("hierarchical_layers: expected {count} of {layers} layers, got {named:?}")),
        };
    }
    Ok(Norms::Levels(match (layers, count) {
        (48, 4) => vec![11, 23, 37, 47],
        _ if count <= layers => (1..=count).map(|level| level * layers / count - 1).collect(),
        _ => return Err(format!("expected at most {layers} norms behind {layers} layers, got {count}")),
    }))
}

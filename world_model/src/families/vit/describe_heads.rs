//! What the parts behind an encoder are: predictors and classifiers. See [`super::describe`].

use super::config::{
    ActionPredictorConfig, BlocksConfig, ClassifierConfig, EncoderConfig, Positions, PredictorConfig, VitKind,
};
use super::fields::Fields;
use super::measured::{EPSILON, Source};
use super::sincos::SinCos;

/// Sizes of one part in a config: `own` names in an object of the part, `prefixed` ones beside the encoder's, and `own`
/// names also there where there is no encoder.
struct PartFields<'a> {
    own: Fields,
    root: &'a Fields,
    alone: bool,
}

impl PartFields<'_> {
    fn count(&self, own: &[&str], prefixed: &[&str]) -> Result<Option<(String, usize)>, String> {
        if let Some(found) = self.own.count("", own)? {
            return Ok(Some(found));
        }
        match self.root.count("", prefixed)? {
            None if self.alone => self.root.count("", own),
            found => Ok(found),
        }
    }

    fn agreed(&self, own: &[&str], prefixed: &[&str], measured: usize, source: &str) -> Result<usize, String> {
        match self.count(own, prefixed)? {
            Some((name, number)) if number != measured => {
                Err(format!("{name}: expected {measured} as the weights have ({source}), got {number}"))
            }
            _ => Ok(measured),
        }
    }
}

/// Blocks of the predictor, with the sizes that the config has to agree with.
fn predictor_blocks(
    source: &Source<'_>,
    encoder: Option<&EncoderConfig>,
    width: usize,
    usual_heads: usize,
) -> Result<BlocksConfig, String> {
    let fields = PartFields { own: source.fields.section("predictor"), root: source.fields, alone: encoder.is_none() };
    let widths = ["pred_hidden_size", "pred_embed_dim", "pred_dim", "predictor_embed_dim", "predictor_dim"];
    fields.agreed(&["pred_dim", "predictor_embed_dim", "width"], &widths, width, "rows of the predictor's entry")?;
    let layers = source.layers("predictor.");
    let names = ["pred_num_hidden_layers", "pred_depth", "predictor_depth", "pred_layers"];
    fields.agreed(&["num_hidden_layers", "depth", "layers"], &names, layers, "blocks of the predictor")?;
    let names = ["pred_num_attention_heads", "pred_num_heads", "pred_heads", "predictor_num_heads", "predictor_heads"];
    let heads = fields.count(&["num_attention_heads", "num_heads", "heads"], &names)?;
    // Models of other sizes than the published ones mostly have the encoder's heads.
    let of_encoder = encoder.map_or(usual_heads, |encoder| encoder.blocks.heads);
    let usual = if width.is_multiple_of(usual_heads.max(1)) { usual_heads } else { of_encoder };
    let heads = heads.map_or(usual, |(_, heads)| heads);
    let epsilon = encoder.map_or(EPSILON, |encoder| encoder.blocks.epsilon);
    let blocks = source.blocks("predictor.", width, heads, epsilon)?;
    source.agree_on_ratio("predictor", &["pred_mlp_ratio", "predictor_mlp_ratio"], &blocks)?;
    Ok(blocks)
}

pub(super) fn predictor(source: &Source<'_>, encoder: Option<&EncoderConfig>) -> Result<PredictorConfig, String> {
    let entry = match source.shapes.contains_key("predictor.embed.0.weight") {
        true => Some(source.size("predictor.embed.0.weight", 0)?),
        false => None,
    };
    let [first, last] = match entry {
        Some(_) => ["predictor.embed.0.weight", "predictor.embed.2.weight"],
        None => ["predictor.embed.weight"; 2],
    };
    let (input, width) = (source.size(first, 1)?, source.size(last, 0)?);
    let encoder_heads = encoder.map_or(12, |encoder| encoder.blocks.heads);
    let usual = match source.kind {
        VitKind::Ijepa | VitKind::Vjepa => encoder_heads,
        _ => 12,
    };
    let mut blocks = predictor_blocks(source, encoder, width, usual)?;
    if let Some(encoder) = encoder
        && !input.is_multiple_of(encoder.blocks.width)
    {
        let expected = encoder.blocks.width;
        return Err(format!("{first}: expected inputs of {expected} values, the encoder's width, got {input}"));
    }
    let mask_tokens = source.shape("predictor.mask_tokens", 1)?.iter().product::<usize>() / width.max(1);
    source.fields.agreed("predictor", &["pred_num_mask_tokens", "num_mask_tokens"], mask_tokens, "mask tokens")?;
    blocks.rotary = source.rotary("predictor", encoder.map_or(16, |encoder| encoder.patch))?;
    let stored = source.shapes.contains_key("predictor.pos_embed");
    let positions = match (blocks.rotary, stored, source.kind) {
        (Some(_), ..) => Positions::None,
        (None, true, _) => Positions::Stored { antialias: false },
        (None, false, VitKind::Ijepa) => Positions::Computed(SinCos::ColumnFirst),
        (None, false, _) => Positions::Computed(match encoder.map(|encoder| encoder.positions) {
            Some(Positions::Computed(kind)) => kind,
            _ => SinCos::Uniform,
        }),
    };
    Ok(PredictorConfig {
        blocks,
        input,
        entry,
        output: source.size("predictor.proj.weight", 0)?,
        mask_tokens,
        positions,
        context_output: source.shapes.contains_key("predictor.proj_context.weight"),
        modality: source.shapes.contains_key("predictor.video_mod_embed"),
    })
}

pub(super) fn action_predictor(
    source: &Source<'_>,
    encoder: Option<&EncoderConfig>,
) -> Result<ActionPredictorConfig, String> {
    let (width, input) = (source.size("predictor.embed.weight", 0)?, source.size("predictor.embed.weight", 1)?);
    let mut blocks = predictor_blocks(source, encoder, width, 16)?;
    blocks.rotary = source.rotary("predictor", encoder.map_or(16, |encoder| encoder.patch))?;
    match encoder {
        Some(encoder) if encoder.blocks.width != input => {
            let expected = encoder.blocks.width;
            return Err(format!("predictor.embed: expected inputs of {expected}, the encoder's width, got {input}"));
        }
        None => drop(source.fields.agreed("predictor", &["embed_dim"], input, "columns of the predictor's entry")?),
        Some(_) => {}
    }
    let extrinsics = "predictor.extrinsics_encoder.weight";
    Ok(ActionPredictorConfig {
        blocks,
        input,
        action_width: source.size("predictor.action_encoder.weight", 1)?,
        state_width: source.size("predictor.state_encoder.weight", 1)?,
        extrinsics_width: source.shapes.contains_key(extrinsics).then(|| source.size(extrinsics, 1)).transpose()?,
    })
}

/// The classifier. Hugging Face's port uses the encoder's heads and epsilon, the authors 16 heads and PyTorch's
/// epsilon.
pub(super) fn classifier(source: &Source<'_>, encoder: Option<&EncoderConfig>) -> Result<ClassifierConfig, String> {
    let width = source.size("pooler.cross.q.weight", 0)?;
    let is_ported = source.fields.text("", &["model_type"]).is_some();
    let of_encoder = encoder.map_or(16, |encoder| encoder.blocks.heads);
    let usual = if is_ported || source.kind == VitKind::Vjepa || width % 16 != 0 { of_encoder } else { 16 };
    let heads = source.fields.count("pooler", &["pooler_num_heads", "probe_heads", "pooler_heads"])?;
    let heads = heads.map_or(usual, |(_, heads)| heads);
    let epsilon = match (is_ported, encoder) {
        (true, Some(encoder)) => encoder.blocks.epsilon,
        _ => 1e-5,
    };
    let named = source.fields.number("pooler", &["pooler_layer_norm_eps", "probe_eps"])?;
    let epsilon = named.map_or(epsilon, |(_, value)| value as f32);
    let layers = source.layers("pooler.");
    source.fields.agreed("", &["num_pooler_layers"], layers, "self-attention layers of the pooler")?;
    if layers > 0 && source.kind == VitKind::Vjepa {
        return Err("pooler: expected one block of cross-attention as V-JEPA's classifier has, got more".into());
    }
    let mut blocks = BlocksConfig {
        width,
        layers,
        heads,
        hidden: source.size("pooler.cross.mlp.fc1.weight", 0)?,
        qkv_bias: true,
        gated: false,
        layer_scale: false,
        epsilon,
        rotary: None,
    };
    if layers > 0 {
        let measured = source.blocks("pooler.", width, heads, epsilon)?;
        blocks.qkv_bias = measured.qkv_bias;
    }
    let classes = source.size("classifier.weight", 0)?;
    let labels = source.fields.labels().len();
    if labels > 0 && labels != classes {
        return Err(format!("id2label: expected {classes} labels as the classifier has classes, got {labels}"));
    }
    Ok(ClassifierConfig { blocks, classes })
}

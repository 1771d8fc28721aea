//! The operations that planning and training spend their time in: `cargo bench -p mindseye-world-model`.

#![allow(clippy::unwrap_used, missing_docs)] // a bench has no caller for errors; criterion's macros write no docs

use candle_core::{Device, Tensor, Var};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mindseye_interface::Seed;
use mindseye_world_model::testing::{Convolution, InferenceLinear, RoundedRows, convolve};
use mindseye_world_model::{
    EncoderConfig, Jepa, KeypointConfig, ModelConfig, PlanGradient, Precision, PredictorConfig, RolloutEngine,
};
use mindseye_world_model::{Matrix, matmul};

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7919 + 13) % 101) as f32 / 50.0 - 1.0).collect()
}

/// 128 rows times the largest matrix of push_t's predictor.
fn products(criterion: &mut Criterion) {
    let (rows, inputs, outputs) = (128, 384, 768);
    let (input, weight, mut output) = (values(rows * inputs), values(outputs * inputs), vec![0.0; rows * outputs]);
    let mut group = criterion.benchmark_group("product of 128 x 384 x 768");
    group.throughput(Throughput::Elements((2 * rows * inputs * outputs) as u64));
    group.bench_function("gemm", |bencher| {
        let weight = Matrix::new(&weight, outputs, inputs).transposed();
        bencher.iter(|| matmul(&mut output, Matrix::new(&input, rows, inputs), weight, false));
    });
    let precisions = [("packed, f32", Precision::F32), ("packed, sixteen bits", Precision::Bf16)];
    for (name, precision) in precisions {
        let linear = InferenceLinear::new(&weight, &vec![0.0; outputs], precision);
        let mut rounded = RoundedRows::default();
        group.bench_function(name, |bencher| bencher.iter(|| linear.apply(&input, &mut output, false, &mut rounded)));
    }
    group.finish();
}

/// The 3x3 convolutions of push_t's encoder on 16 images, forward and back; beside them the matrix product of their
/// unfolded windows.
fn convolutions(criterion: &mut Criterion) {
    let (batch, side, channels) = (16, 16, 32);
    let (windows, window) = (batch * side * side, 9 * channels);
    let shape = Convolution { kernel: 3, stride: 1, padding: 1, silu_first: false, input_gradient: true };
    let var = |shape: &[usize]| {
        Var::from_tensor(&Tensor::from_vec(values(shape.iter().product()), shape, &Device::Cpu).unwrap()).unwrap()
    };
    let (input, weight, bias) = (var(&[batch, side, side, channels]), var(&[channels, window]), var(&[channels]));
    let mut group = criterion.benchmark_group("3x3 convolution of 16 images");
    group.throughput(Throughput::Elements((2 * windows * window * channels) as u64));
    group.bench_function("product alone", |bencher| {
        let (rows, weight, mut output) =
            (values(windows * window), values(channels * window), values(windows * channels));
        let weight = Matrix::new(&weight, channels, window).transposed();
        bencher.iter(|| matmul(&mut output, Matrix::new(&rows, windows, window), weight, false));
    });
    let (input, weight, bias) = (input.as_tensor(), weight.as_tensor(), bias.as_tensor());
    group.bench_function("forward", |bencher| {
        bencher.iter(|| input.apply_op3_no_bwd(weight, bias, &shape).unwrap());
    });
    group.throughput(Throughput::Elements((3 * 2 * windows * window * channels) as u64));
    group.bench_function("forward and back", |bencher| {
        bencher.iter(|| convolve(input, weight, bias, shape).unwrap().backward().unwrap());
    });
    group.finish();
}

/// 128 plans of 4 chunks with a predictor of push_t's size, on one thread.
fn rollouts(criterion: &mut Criterion) {
    let (plans, horizon) = (128, 4);
    let config = ModelConfig {
        image_side: 64,
        cameras: 1,
        proprioception_width: 0,
        action_width: 2,
        action_chunk: 5,
        latent_width: 32,
        whitening: false,
        encoder: EncoderConfig::Keypoint(KeypointConfig { channels: 16, hidden: 256 }),
        predictor: PredictorConfig { hidden: 384, layers: 2, gated: true },
    };
    let chunk_width = config.chunk_width();
    let model = Jepa::initialise(config, Seed::new(0)).unwrap();
    let (start, actions) = (values(32), values(plans * horizon * chunk_width));
    let mut group = criterion.benchmark_group("128 plans of 4 chunks");
    group.throughput(Throughput::Elements((plans * horizon) as u64));
    let precisions = [("f32", Precision::F32), ("sixteen bits", Precision::Bf16)];
    for (name, precision) in precisions {
        let engine = RolloutEngine::with_precision(&model, precision).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| engine.rollout(&start, &actions, horizon, 1).unwrap());
        });
    }
    let gradients = PlanGradient::new(&model).unwrap();
    group.bench_function("and their gradients", |bencher| {
        let upstream = |states: Vec<f32>| -> mindseye_world_model::Result<Vec<f32>> { Ok(states) };
        bencher.iter(|| gradients.of(&start, &actions, horizon, 1, upstream).unwrap());
    });
    group.finish();
}

criterion_group!(benches, products, convolutions, rollouts);
criterion_main!(benches);

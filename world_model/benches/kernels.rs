//! The parts that planning and training spend their time in: `cargo bench -p mindseye-world-model`.

#![allow(clippy::unwrap_used, missing_docs)] // a bench that cannot run has nothing to hand on; criterion's macros write no docs

use candle_core::{Device, Tensor, Var};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mindseye_interface::Seed;
use mindseye_world_model::encoder::{EncoderConfig, KeypointConfig};
use mindseye_world_model::ops::matmul::{Matrix, matmul};
use mindseye_world_model::ops::{Convolution, Map, Precision, Rounded, convolve};
use mindseye_world_model::predictor::PredictorConfig;
use mindseye_world_model::{Jepa, ModelConfig, PlanSlopes, RolloutEngine};

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
    let precisions = [
        ("packed, f32", Precision::F32),
        ("packed, sixteen bits", Precision::Bf16),
        ("packed, eight bits", Precision::Int8),
    ];
    for (name, precision) in precisions {
        let (map, mut rounded) = (Map::new(&weight, &vec![0.0; outputs], precision), Rounded::default());
        group.bench_function(name, |bencher| bencher.iter(|| map.apply(&input, &mut output, false, &mut rounded)));
    }
    group.finish();
}

/// The 3x3 convolutions of push_t's eye on 16 pictures, both ways; beside them their product once windows are laid out.
fn convolutions(criterion: &mut Criterion) {
    let (batch, side, channels) = (16, 16, 32);
    let (windows, window) = (batch * side * side, 9 * channels);
    let shape = Convolution { kernel: 3, stride: 1, padding: 1, silu_first: false, input_gradient: true };
    let var = |shape: &[usize]| {
        Var::from_tensor(&Tensor::from_vec(values(shape.iter().product()), shape, &Device::Cpu).unwrap()).unwrap()
    };
    let (input, weight, bias) = (var(&[batch, side, side, channels]), var(&[channels, window]), var(&[channels]));
    let mut group = criterion.benchmark_group("3x3 convolution of 16 pictures");
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

/// 128 plans of 4 blocks with a predictor of push_t's size, on one thread.
fn rollouts(criterion: &mut Criterion) {
    let (plans, horizon) = (128, 4);
    let config = ModelConfig {
        image_side: 64,
        cameras: 1,
        proprioception_width: 0,
        action_width: 2,
        action_block: 5,
        latent_width: 32,
        whitening: false,
        encoder: EncoderConfig::Keypoint(KeypointConfig { channels: 16, hidden: 256 }),
        predictor: PredictorConfig { hidden: 384, layers: 2, gated: true },
    };
    let block_width = config.block_width();
    let model = Jepa::initialise(config, Seed::new(0)).unwrap();
    let (start, actions) = (values(32), values(plans * horizon * block_width));
    let mut group = criterion.benchmark_group("128 plans of 4 blocks");
    group.throughput(Throughput::Elements((plans * horizon) as u64));
    let precisions = [("f32", Precision::F32), ("sixteen bits", Precision::Bf16), ("eight bits", Precision::Int8)];
    for (name, precision) in precisions {
        let engine = RolloutEngine::with_precision(&model, precision).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| engine.rollout(&start, &actions, horizon, 1).unwrap());
        });
    }
    let slopes = PlanSlopes::new(&model).unwrap();
    group.bench_function("and their slopes", |bencher| {
        let judge = |states: Vec<f32>| -> mindseye_world_model::Result<Vec<f32>> { Ok(states) };
        bencher.iter(|| slopes.of(&start, &actions, horizon, 1, judge).unwrap());
    });
    group.finish();
}

criterion_group!(benches, products, convolutions, rollouts);
criterion_main!(benches);
